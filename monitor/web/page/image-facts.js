/** The facts of one image, as the stream tells them: state, progress, times; and its annotations. */

import { Bar } from "./bar.js";
import { foreign, h, longText, mark, say, setTime, show } from "./dom.js";
import { ending, isActive, standing, stateWord, staleness, stillFor } from "./status.js";
import { perMinute } from "./rate.js";
import { GLYPHS } from "./row.js";
import { clip, clockTime, duration, pace, rough, tasks } from "./format.js";

export class Facts {
  #bar = new Bar();
  #glyph = h("span", { "aria-hidden": "true" });
  #word = h("span");
  #badge = h("span", { class: "badge" }, this.#glyph, " ", this.#word);
  #known = h("span", { class: "muted", text: "acknowledged" });
  #old = h("p", { class: "warning", role: "status" });
  #reason = h("div", { class: "reason-box" });
  #texts = {};
  #times = {};
  #drawn = null;
  element = h(
    "div",
    { class: "facts" },
    h("div", { class: "line" }, this.#badge, this.#known, this.#bar.element),
    this.#old,
    this.#reason,
    this.#list(),
  );

  #list() {
    const text = (name, label) => pair(label, (this.#texts[name] = h("span")));
    const time = (name, label) => pair(label, (this.#times[name] = h("time")));
    return h(
      "dl",
      { class: "pairs wide" },
      ...text("tasks", "Tasks done"),
      ...text("rate", "Rate seen here"),
      ...time("eta", "Ends"),
      ...text("why", "ETA moved because"),
      ...time("moved", "Last move"),
      ...time("started", "Begun"),
      ...time("ended", "Ended"),
      ...text("took", "Took"),
      ...time("seen", "First seen here"),
    );
  }

  /** @param {import("./fleet.js").Entry} entry */
  draw({ image, samples }, health, now) {
    const active = isActive(image);
    const was = standing(image, health, now);
    const word = stateWord(image, health, now);
    mark(this.#badge, "data-state", was);
    say(this.#glyph, GLYPHS[was]);
    say(this.#word, word);
    show(this.#known, image.acknowledged);
    this.#bar.set(image, word, `Progress of ${clip(image.name, 80)}`);
    const old = staleness(health, now);
    say(this.#old, old ? `The controller cannot be read; this is ${old}.` : "");
    show(this.#old, Boolean(old));
    this.#drawReason(image);
    const end = ending(image, health, now);
    const at = end.at !== null && end.main !== "overdue" ? `, at ${clockTime(end.at, now)}` : "";
    const still = stillFor(image, health, now);
    this.#say({
      tasks: tasks(image),
      rate: active ? pace(perMinute(samples, now)) : "",
      why: active ? end.why : "",
      took: active ? "" : duration(image.duration_seconds),
    });
    this.#time("eta", active ? end.at : null, active ? `${end.main}${end.range ? ` (${end.range})` : ""}${at}` : "");
    this.#time(
      "moved",
      image.changed_at,
      still > 15 ? `no move for ${rough(still)}` : clockTime(image.changed_at, now),
    );
    this.#time("started", image.started_at, clockTime(image.started_at, now));
    this.#time("ended", image.ended_at, active ? "" : clockTime(image.ended_at, now));
    this.#time("seen", image.first_seen_at, clockTime(image.first_seen_at, now));
  }

  #say(texts) {
    for (const [name, text] of Object.entries(texts)) {
      say(this.#texts[name], text);
      showPair(this.#texts[name], text);
    }
  }

  #time(name, at, text) {
    setTime(this.#times[name], at, text);
    showPair(this.#times[name], text);
  }

  #drawReason(image) {
    const reason = image.reason ?? "";
    if (reason === this.#drawn) return;
    this.#drawn = reason;
    this.#reason.replaceChildren(...(reason ? [longText(reason, 500)] : []));
    mark(this.#reason, "data-state", image.state);
    show(this.#reason, reason !== "");
  }
}

/** A fact that has nothing to say is not there. */
function showPair(node, text) {
  show(node.parentElement, text !== "");
  show(node.parentElement.previousElementSibling, text !== "");
}

function pair(label, node) {
  return [h("dt", { text: label }), h("dd", {}, node)];
}

/** The annotations, each with a button that removes it. */
export function annotationList(annotations, remove) {
  const all = Object.entries(annotations ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  if (!all.length) return h("p", { class: "muted", text: "Nobody annotated this image." });
  const rows = all.map(([key, value]) =>
    h(
      "tr",
      { "data-annotation": key },
      h("th", { scope: "row" }, foreign(key, { class: "code" })),
      h("td", {}, longText(value, 300)),
      h(
        "td",
        { class: "act" },
        h("button", {
          type: "button",
          class: "small",
          text: "Remove",
          "aria-label": `Remove ${key}`,
          on: { click: () => remove(key) },
        }),
      ),
    ),
  );
  const head = h("tr", {}, ...["Key", "Value"].map((text) => h("th", { scope: "col", text })), h("td"));
  return h(
    "table",
    { class: "plain" },
    h("caption", { class: "unseen", text: "Annotations" }),
    h("thead", {}, head),
    h("tbody", {}, ...rows),
  );
}
