/**
 * Parses Server-Sent Events from text that arrives in chunks, which may break anywhere. Pure: knows no network, no JSON.
 * Source: HTML Living Standard, 9.2.6 "Interpreting an event stream".
 */

/** @typedef {{event: string, data: string, id: string | undefined}} Message  `id`: only if the message has one */

export class SseParser {
  #rest = "";
  #event = "";
  /** @type {string[]} */
  #data = [];
  /** @type {string | undefined} */
  #id = undefined;
  #started = false;

  /**
   * Parse one more chunk.
   * @param {string} chunk
   * @returns {Message[]} the messages that are complete now; the rest is kept for the next chunk
   */
  feed(chunk) {
    const text = this.#rest + (this.#started ? chunk : chunk.replace(/^\uFEFF/, ""));
    this.#started ||= chunk !== "";
    /** @type {Message[]} */
    const messages = [];
    let start = 0;
    let from = Math.max(0, this.#rest.length - 1); // a state of megabytes comes in many chunks: scan each one once
    for (;;) {
      const end = findLineEnd(text, from);
      if (!end) break;
      const message = this.#parseLine(text.slice(start, end.at));
      if (message) messages.push(message);
      start = end.next;
      from = start;
    }
    this.#rest = text.slice(start);
    return messages;
  }

  /** @param {string} line @returns {Message | null} */
  #parseLine(line) {
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

  /** @returns {Message | null} */
  #dispatch() {
    const message = { event: this.#event || "message", data: this.#data.join("\n"), id: this.#id };
    const empty = this.#data.length === 0;
    this.#event = "";
    this.#data = [];
    if (empty) return null; // its id, if it has one, belongs to the next message
    this.#id = undefined;
    return message;
  }
}

const LINE_END = /\r\n|\n|\r/g;

/**
 * The end of the line, and the start of the next. A CR at the end of the text may be half of a CRLF: wait for more.
 * @param {string} text
 * @param {number} from
 */
function findLineEnd(text, from) {
  LINE_END.lastIndex = from;
  const found = LINE_END.exec(text);
  if (!found) return null;
  if (found[0] === "\r" && found.index + 1 === text.length) return null;
  return { at: found.index, next: LINE_END.lastIndex };
}
