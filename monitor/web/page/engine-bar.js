/** The Service Engines of a group by state: a stacked bar, with the numbers as text beside it. */

import { h, setText, setVisible } from "./dom.js";
import { enginesOf } from "./upgrade-status.js";
import { formatCount, plural } from "./format.js";

/**
 * In the order of the bar: the member, its text, and a sign that needs no colour.
 * @type {[Exclude<keyof EngineCounts, "expected">, string, string][]}
 */
const PARTS = [
  ["completed", "done", "✓"],
  ["skipped", "skipped", "»"],
  ["failed", "failed", "✕"],
  ["suspended", "suspended", "‖"],
  ["in_progress", "in progress", "▶"],
  ["not_started", "not started", "○"],
];

export class EngineBar {
  #parts = PARTS.map(([state, text, sign]) => {
    const count = h("span");
    const glyph = h("span", { class: "glyph", "aria-hidden": "true", text: sign });
    const label = h("li", { "data-engines": state }, glyph, " ", count, ` ${text}`);
    return { state, count, label, segment: h("div", { "data-engines": state }) };
  });
  #all = h("li", { class: "muted" });
  #bar = h("div", { class: "segments", "aria-hidden": "true" }, ...this.#parts.map(({ segment }) => segment));
  #counts = h(
    "ul",
    { class: "counts", role: "list", "aria-label": "Service Engines" },
    ...this.#parts.map(({ label }) => label),
    this.#all,
  );
  element = h("div", { class: "engines" }, this.#bar, this.#counts);

  /** @param {EngineCounts | null} engines null: the Controller lists none */
  update(engines) {
    setVisible(this.element, engines !== null);
    let listed = 0;
    for (const { state, count, label, segment } of this.#parts) {
      const number = engines?.[state] ?? 0;
      listed += number;
      if (segment.style.flexGrow !== String(number)) segment.style.flexGrow = String(number);
      setVisible(segment, number > 0);
      setVisible(label, number > 0);
      setText(count, formatCount(number));
    }
    setVisible(this.#bar, listed > 0);
    setText(this.#all, engines ? `of ${plural(enginesOf(engines), "Service Engine")}` : "");
  }
}
