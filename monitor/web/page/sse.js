/**
 * Server-Sent Events out of text that comes in chunks, which may break anywhere. Pure: knows no network and no JSON.
 * Source: HTML Living Standard, 9.2.6 "Interpreting an event stream".
 */

/** @typedef {{event: string, data: string, id: string | undefined}} Message  `id`: only where the message named one. */

export class SseParser {
  #rest = "";
  #event = "";
  #data = [];
  #id = undefined;
  #begun = false;

  /**
   * Read one more chunk.
   * @param {string} chunk
   * @returns {Message[]} the messages that are whole now; one that is not waits for the next chunk
   */
  feed(chunk) {
    const text = this.#rest + (this.#begun ? chunk : chunk.replace(/^\uFEFF/, ""));
    this.#begun ||= chunk !== "";
    const messages = [];
    let start = 0;
    let from = Math.max(0, this.#rest.length - 1); // a state of megabytes comes in many chunks: each is looked at once
    for (;;) {
      const end = lineEnd(text, from);
      if (!end) break;
      const message = this.#line(text.slice(start, end.at));
      if (message) messages.push(message);
      start = end.next;
      from = start;
    }
    this.#rest = text.slice(start);
    return messages;
  }

  #line(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return null; // a comment: a heartbeat
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "event") this.#event = value;
    else if (field === "data") this.#data.push(value);
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    return null;
  }

  #dispatch() {
    const message = { event: this.#event || "message", data: this.#data.join("\n"), id: this.#id };
    const empty = this.#data.length === 0;
    this.#event = "";
    this.#data = [];
    if (empty) return null; // its id, if it had one, goes with the next message
    this.#id = undefined;
    return message;
  }
}

/** Where a line ends and the next begins. A CR at the very end may be half of a CRLF, so it waits. */
function lineEnd(text, from) {
  BREAK.lastIndex = from;
  const found = BREAK.exec(text);
  if (!found) return null;
  if (found[0] === "\r" && found.index + 1 === text.length) return null;
  return { at: found.index, next: BREAK.lastIndex };
}

const BREAK = /\r\n|\n|\r/g;
