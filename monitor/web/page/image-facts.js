/** The facts of one image from the event stream: state, progress and times; and its annotations. */

import { ProgressBar } from "./bar.js";
import { expandableText, externalText, h, setAttr, setText, setVisible } from "./dom.js";
import { textFact, timeFact } from "./facts.js";
import { ageText, endOf, GLYPHS, idleText, isActive, stateText } from "./status.js";
import { ratePerMinute } from "./rate.js";
import { clockTime, formatDuration, formatRate, formatTasks, truncate } from "./format.js";

/** @import { Entry } from "./fleet.js" */

export class ImageFacts {
  #bar = new ProgressBar();
  #glyph = h("span", { "aria-hidden": "true" });
  #state = h("span");
  #badge = h("span", { class: "badge" }, this.#glyph, " ", this.#state);
  #acknowledged = h("span", { class: "muted", text: "acknowledged" });
  #age = h("p", { class: "warning", role: "status" });
  #reason = h("div", { class: "reason-box" });
  /** @type {string | null} */
  #reasonDrawn = null;
  #tasks = textFact("Tasks done");
  #rate = textFact("Rate measured here");
  #eta = timeFact("Ends");
  #why = textFact("ETA changed because");
  #moved = timeFact("Last move");
  #started = timeFact("Started");
  #ended = timeFact("Ended");
  #duration = textFact("Took");
  #firstSeen = timeFact("First seen");
  element = h(
    "div",
    { class: "facts" },
    h("div", { class: "line" }, this.#badge, this.#acknowledged, this.#bar.element),
    this.#age,
    this.#reason,
    h(
      "dl",
      { class: "pairs wide" },
      ...this.#tasks.elements,
      ...this.#rate.elements,
      ...this.#eta.elements,
      ...this.#why.elements,
      ...this.#moved.elements,
      ...this.#started.elements,
      ...this.#ended.elements,
      ...this.#duration.elements,
      ...this.#firstSeen.elements,
    ),
  );

  /** @param {Entry} entry @param {ControllerHealth | undefined} health of its controller @param {number} now */
  draw({ image, samples }, health, now) {
    this.#drawState(image, health, now);
    const active = isActive(image);
    this.#tasks.set(formatTasks(image));
    this.#rate.set(active ? formatRate(ratePerMinute(samples, now)) : "");
    this.#drawEta(image, health, now);
    this.#moved.set(image.changed_at, idleText(image, health, now) || clockTime(image.changed_at, now));
    this.#started.set(image.started_at, clockTime(image.started_at, now));
    this.#ended.set(image.ended_at, active ? "" : clockTime(image.ended_at, now));
    this.#duration.set(active ? "" : formatDuration(image.duration_seconds));
    this.#firstSeen.set(image.first_seen_at, clockTime(image.first_seen_at, now));
  }

  /** @param {ImageStatus} image @param {ControllerHealth | undefined} health @param {number} now */
  #drawState(image, health, now) {
    const { standing } = image;
    const state = stateText(image);
    setAttr(this.#badge, "data-state", standing);
    setText(this.#glyph, GLYPHS[standing]);
    setText(this.#state, state);
    setVisible(this.#acknowledged, image.acknowledged);
    this.#bar.update(image, state, `Progress of ${truncate(image.name, 80)}`);
    const age = ageText(health, now);
    setText(this.#age, age ? `The controller is down; this data is ${age}.` : "");
    setVisible(this.#age, age !== "");
    this.#drawReason(image);
  }

  /** @param {ImageStatus} image @param {ControllerHealth | undefined} health @param {number} now */
  #drawEta(image, health, now) {
    const active = isActive(image);
    const end = endOf(image, health, now);
    const range = end.range ? ` (${end.range})` : "";
    const at = end.at !== null && end.text !== "overdue" ? `, at ${clockTime(end.at, now)}` : "";
    this.#eta.set(active ? end.at : null, active ? `${end.text}${range}${at}` : "");
    this.#why.set(active ? end.why : "");
  }

  /** @param {ImageStatus} image */
  #drawReason({ reason, state }) {
    if (reason === this.#reasonDrawn) return;
    this.#reasonDrawn = reason;
    this.#reason.replaceChildren(...(reason ? [expandableText(reason, 500)] : []));
    setAttr(this.#reason, "data-state", state);
    setVisible(this.#reason, reason !== "");
  }
}

/**
 * The annotations, each with a button that removes it.
 * @param {Record<string, string>} annotations
 * @param {(key: string) => void} remove
 */
export function annotationList(annotations, remove) {
  const all = Object.entries(annotations).sort(([a], [b]) => (a < b ? -1 : 1));
  if (!all.length) return h("p", { class: "muted", text: "This image has no annotations." });
  const rows = all.map(([key, value]) => {
    const button = h("button", {
      type: "button",
      class: "small",
      text: "Remove",
      "aria-label": `Remove ${key}`,
      on: { click: () => remove(key) },
    });
    return h(
      "tr",
      { "data-annotation": key },
      h("th", { scope: "row" }, externalText(key, { class: "code" })),
      h("td", {}, expandableText(value, 300)),
      h("td", { class: "actions" }, button),
    );
  });
  const head = h("tr", {}, ...["Key", "Value"].map((text) => h("th", { scope: "col", text })), h("td"));
  return h(
    "table",
    { class: "plain" },
    h("caption", { class: "visually-hidden", text: "Annotations" }),
    h("thead", {}, head),
    h("tbody", {}, ...rows),
  );
}
