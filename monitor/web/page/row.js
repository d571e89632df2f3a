/** One image in the list. Touched where it is other, also to show another image; `tick` does what changes with the time. */

import { Bar } from "./bar.js";
import { foreign, h, mark, say, setTime, show } from "./dom.js";
import { ending, isActive, staleness, stateWord, stillFor } from "./status.js";
import { perMinute } from "./rate.js";
import { clip, isKnown, pace, rough, tasks } from "./format.js";

const NAME = 200; // characters of foreign text in a row; the image's own page has all
const NOTES = 4; // annotations in a row
const STILL_S = 15; // beyond it "no move for …" is worth a word

export const GLYPHS = { failed: "✕", stalled: "‖", active: "▶", unknown: "?", acknowledged: "✕", completed: "✓" };

export class Row {
  /** @type {import("./fleet.js").Entry | null} */
  entry = null;
  visible = false;
  #health = null;
  #standing = "";
  #noted = "";
  #bar = new Bar();
  #glyph = h("span", { class: "glyph", "aria-hidden": "true" });
  #word = h("span");
  #badge = h("span", { class: "badge" }, this.#glyph, " ", this.#word);
  #known = h("span", { class: "muted small", text: "acknowledged" });
  #name = foreign("");
  #link = h("a", {}, this.#name);
  #meta = h("div", { class: "meta" });
  #reason = foreign("", { class: "reason" });
  #old = h("div", { class: "old" });
  #tasks = h("td", { role: "cell", class: "tasks", "data-label": "tasks" });
  #rate = h("td", { role: "cell", class: "rate", "data-label": "rate" });
  #eta = h("time");
  #range = h("div", { class: "muted small" });
  #moved = h("time");
  #button = h("button", {
    type: "button",
    class: "small",
    text: "Acknowledge",
    on: { click: () => this.acknowledge(this.entry) },
  });
  element = h(
    "tr",
    { role: "row" },
    h("td", { role: "cell", class: "state" }, this.#badge, this.#known),
    h("th", { role: "rowheader", scope: "row", class: "image" }, this.#link, this.#meta, this.#reason, this.#old),
    h("td", { role: "cell", class: "progress" }, this.#bar.element),
    this.#tasks,
    this.#rate,
    h("td", { role: "cell", class: "eta" }, this.#eta, this.#range),
    h("td", { role: "cell", class: "moved" }, this.#moved),
    h("td", { role: "cell", class: "act" }, this.#button),
  );

  /** @param {(entry: object) => void} acknowledge */
  constructor(acknowledge) {
    this.acknowledge = acknowledge;
  }

  /** Draw what is other. */
  update(entry, health, standing, now) {
    if (entry === this.entry && health === this.#health && standing === this.#standing) return;
    const before = this.entry;
    [this.entry, this.#health, this.#standing] = [entry, health, standing];
    this.#drawImage(before);
    this.tick(now);
  }

  #drawImage(before) {
    const { image, controller, key } = this.entry;
    const row = this.element;
    const other = before?.key !== key;
    if (other) {
      mark(row, "data-key", key);
      mark(row, "data-controller", controller);
      mark(row, "data-uuid", image.uuid);
      mark(this.#link, "href", `#/image/${key}`);
      this.#bar.jump();
    }
    mark(row, "data-state", image.state);
    mark(row, "data-standing", this.#standing);
    say(this.#name, clip(image.name || image.uuid, NAME));
    mark(this.#badge, "data-state", this.#standing);
    say(this.#glyph, GLYPHS[this.#standing]);
    show(this.#known, Boolean(image.acknowledged) && image.state !== "completed");
    say(this.#tasks, tasks(image));
    this.#drawMeta(image);
    this.#drawAct();
  }

  #drawMeta({ version, patch, tenant, annotations }) {
    const signature = JSON.stringify([this.entry.controller, version, patch, tenant, annotations]);
    if (signature !== this.#noted) this.#meta.replaceChildren(...metaOf(this.entry));
    this.#noted = signature;
  }

  #drawAct() {
    const wanted = this.#standing === "failed" || this.#standing === "stalled";
    mark(this.#button, "aria-label", `Acknowledge ${clip(this.entry.image.name, 60)}`);
    show(this.#button, wanted);
  }

  /** What changes with the time alone. */
  tick(now) {
    const { image, samples } = this.entry;
    const health = this.#health;
    const active = isActive(image);
    say(this.#word, stateWord(image, health, now));
    this.#bar.set(image, stateWord(image, health, now), `Progress of ${clip(image.name, 80)}`);
    say(this.#rate, active ? pace(perMinute(samples, now)) : "");
    const end = ending(image, health, now);
    setTime(this.#eta, end.at, end.main);
    mark(this.#eta.parentElement, "data-label", active ? "ends" : ""); // a card has no head of the column
    say(this.#range, end.range);
    const still = stillFor(image, health, now);
    const at = lastMove(image);
    setTime(this.#moved, at, still > STILL_S ? `no move for ${rough(still)}` : ago(at, now));
    mark(this.#moved, "data-still", still > STILL_S);
    mark(this.#moved.parentElement, "data-label", still > STILL_S ? "" : "moved");
    const reason = image.state === "failed" ? image.reason : active && end.why ? `ETA: ${end.why}` : "";
    say(this.#reason, clip(reason ?? "", 2 * NAME));
    const old = staleness(health, now);
    say(this.#old, old);
    mark(this.element, "data-old", Boolean(old));
  }
}

/** Of one that has ended, its end: it may have been long before the daemon first saw it. */
function lastMove(image) {
  return isActive(image) ? image.changed_at : (image.ended_at ?? image.changed_at);
}

function ago(at, now) {
  if (!isKnown(at)) return "";
  const gone = now - at;
  if (gone < 5) return "just now"; // calm, where something moves at every poll
  return `${rough(gone)} ago`;
}

function metaOf({ image, controller }) {
  const facts = [
    controller,
    image.version,
    image.patch && `patch ${image.patch}`,
    image.tenant !== "admin" && image.tenant,
  ];
  const notes = Object.entries(image.annotations ?? {}).filter(([key]) => key !== "acknowledged");
  const chips = notes.slice(0, NOTES).map(([key, value]) => foreign(`${key}=${clip(value, 40)}`, { class: "note" }));
  const more = notes.length > NOTES ? h("span", { text: `and ${notes.length - NOTES} more` }) : null;
  return [...facts.filter(Boolean).map((fact) => foreign(clip(fact, 60))), ...chips, more].filter(Boolean);
}
