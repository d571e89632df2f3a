/** What this page saw of an upgrade, the newest first; it can be copied as text. */

import { apiUrl } from "./api.js";
import { externalText, h, setText, setTime } from "./dom.js";
import { clockTime, truncate, utcTime } from "./format.js";

/** @import { ControllerUpgrade, LogLine } from "./upgrades.js" */

const MAX_SHOWN = 60; // the copy has all

export class UpgradeLog {
  /** @type {LogLine[]} */
  #lines = [];
  #hint = h("p", { class: "hint" });
  #list = h("ol", { class: "log", reversed: true, role: "list" });
  #copied = h("span", { class: "muted", role: "status" });
  #button = h("button", { type: "button", class: "small", text: "Copy", on: { click: () => this.#copy() } });
  #head = h("div", { class: "line" }, this.#hint, this.#button, this.#copied);
  element = h("div", { class: "stack" }, this.#head, this.#list);

  /** @param {string} controller */
  constructor(controller) {
    const href = apiUrl("upgrade-report", { controller });
    const link = h("a", { href, target: "_blank", rel: "noopener", text: "Report of the daemon" });
    const hint = h("span", { class: "muted", text: ": all that it saw (in a new tab; your token is not sent)" });
    this.element.append(h("p", {}, link, hint));
  }

  /** @param {ControllerUpgrade} upgrade @param {number} now */
  draw({ log, since }, now) {
    const text = `Since this page was opened, at ${clockTime(since, now)}; when it is loaded again, it begins anew.`;
    setText(this.#hint, text);
    if (log === this.#lines) return;
    const known = new Set(this.#lines);
    const added = log.filter((line) => !known.has(line)).reverse();
    this.#lines = log;
    this.#list.prepend(...added.slice(0, MAX_SHOWN).map((line) => item(line, now)));
    while (this.#list.childElementCount > MAX_SHOWN) this.#list.lastElementChild?.remove();
    setText(this.#copied, "");
  }

  async #copy() {
    const text = this.#lines.map(lineText).reverse().join("\n");
    try {
      await navigator.clipboard.writeText(text); // absent where the page came over plain HTTP
      setText(this.#copied, "Copied.");
    } catch {
      document.getSelection()?.selectAllChildren(this.#list);
      setText(this.#copied, "Selected: press Ctrl+C.");
    }
  }
}

/** @param {LogLine} line @param {number} now */
function item({ at, subject, text, bad }, now) {
  const time = h("time");
  setTime(time, at, clockTime(at, now));
  const glyph = h("span", { "aria-hidden": "true", class: "glyph", text: bad ? "✕" : "·" });
  return h(
    "li",
    { "data-bad": bad },
    time,
    glyph,
    h("span", {}, externalText(truncate(subject, 200)), ": ", externalText(truncate(text, 400))),
  );
}

/** @param {LogLine} line */
function lineText({ at, subject, text }) {
  return `${utcTime(at)}  ${subject}: ${text}`.replaceAll("\n", " ");
}
