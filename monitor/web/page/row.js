/** The row of one image in the list. Updates only what changed; `tick` updates what changes with time alone. */

import { ProgressBar } from "./bar.js";
import { externalText, h, setAttr, setText, setTime, setVisible } from "./dom.js";
import { ageText, endOf, GLYPHS, idleText, isActive, needsAttention, stateText } from "./status.js";
import { ratePerMinute } from "./rate.js";
import { formatRate, formatTasks, roughDuration, truncate } from "./format.js";

/** @import { Entry } from "./fleet.js" */

const MAX_NAME = 200; // characters in a row; the view of the image has more
const MAX_ANNOTATIONS = 4;

export class Row {
  /** @type {Entry | null} */
  entry = null;
  visible = false;
  /** @type {ControllerHealth | undefined} */
  #health = undefined;
  /** @type {Standing} */
  #standing = "unknown";
  #metaDrawn = "";
  #bar = new ProgressBar();
  #glyph = h("span", { class: "glyph", "aria-hidden": "true" });
  #state = h("span");
  #badge = h("span", { class: "badge" }, this.#glyph, " ", this.#state);
  #acknowledged = h("span", { class: "muted small", text: "acknowledged" });
  #name = externalText("");
  #link = h("a", {}, this.#name);
  #meta = h("div", { class: "meta" });
  #reason = externalText("", { class: "reason" });
  #age = h("div", { class: "age" });
  #tasks = h("td", { role: "cell", class: "tasks", "data-label": "tasks" });
  #rate = h("td", { role: "cell", class: "rate", "data-label": "rate" });
  #eta = h("time");
  #range = h("div", { class: "muted small" });
  #etaCell = h("td", { role: "cell", class: "eta" }, this.#eta, this.#range);
  #moved = h("time");
  #movedCell = h("td", { role: "cell", class: "moved" }, this.#moved);
  #button = h("button", { type: "button", class: "small", text: "Acknowledge" });
  element = h(
    "tr",
    { role: "row" },
    h("td", { role: "cell", class: "state" }, this.#badge, this.#acknowledged),
    h("th", { role: "rowheader", scope: "row", class: "image" }, this.#link, this.#meta, this.#reason, this.#age),
    h("td", { role: "cell", class: "progress" }, this.#bar.element),
    this.#tasks,
    this.#rate,
    this.#etaCell,
    this.#movedCell,
    h("td", { role: "cell", class: "actions" }, this.#button),
  );

  /** @param {(entry: Entry) => void} acknowledge */
  constructor(acknowledge) {
    this.#button.addEventListener("click", () => this.entry && acknowledge(this.entry));
  }

  /**
   * Show this image, which may be another one than before.
   * @param {Entry} entry
   * @param {ControllerHealth | undefined} health of its controller
   * @param {Standing} standing
   * @param {number} now
   */
  update(entry, health, standing, now) {
    if (entry === this.entry && health === this.#health && standing === this.#standing) return;
    const before = this.entry;
    this.entry = entry;
    this.#health = health;
    this.#standing = standing;
    if (before?.key !== entry.key) this.#setIdentity(entry);
    this.#drawImage(entry);
    this.tick(now);
  }

  /** @param {Entry} entry */
  #setIdentity({ key, controller, image }) {
    setAttr(this.element, "data-key", key);
    setAttr(this.element, "data-controller", controller);
    setAttr(this.element, "data-uuid", image.uuid);
    setAttr(this.#link, "href", `#/image/${key}`);
    this.#bar.skipTransition();
  }

  /** @param {Entry} entry */
  #drawImage(entry) {
    const { image } = entry;
    setAttr(this.element, "data-state", image.state);
    setAttr(this.element, "data-standing", this.#standing);
    setText(this.#name, truncate(image.name || image.uuid, MAX_NAME));
    setAttr(this.#badge, "data-state", this.#standing);
    setText(this.#glyph, GLYPHS[this.#standing]);
    setVisible(this.#acknowledged, image.acknowledged && image.state !== "completed");
    setText(this.#tasks, formatTasks(image));
    this.#drawMeta(entry);
    setAttr(this.#button, "aria-label", `Acknowledge ${truncate(image.name, 60)}`);
    setVisible(this.#button, needsAttention(this.#standing));
  }

  /** @param {Entry} entry */
  #drawMeta(entry) {
    const { version, patch, tenant, annotations } = entry.image;
    const signature = JSON.stringify([entry.controller, version, patch, tenant, annotations]);
    if (signature !== this.#metaDrawn) this.#meta.replaceChildren(...metaOf(entry));
    this.#metaDrawn = signature;
  }

  /** @param {number} now */
  tick(now) {
    if (!this.entry) return;
    const { image, samples } = this.entry;
    const health = this.#health;
    const active = isActive(image);
    const state = stateText(image);
    setText(this.#state, state);
    this.#bar.update(image, state, `Progress of ${truncate(image.name, 80)}`);
    setText(this.#rate, active ? formatRate(ratePerMinute(samples, now)) : "");
    const end = endOf(image, health, now);
    setTime(this.#eta, end.at, end.text);
    setAttr(this.#etaCell, "data-label", active ? "ends" : ""); // as a card it has no column head
    setText(this.#range, end.range);
    this.#drawMoved(image, now);
    const reason = image.state === "failed" ? image.reason : active && end.why ? `ETA: ${end.why}` : "";
    setText(this.#reason, truncate(reason, 2 * MAX_NAME));
    const age = ageText(health, now);
    setText(this.#age, age);
    setAttr(this.element, "data-outdated", Boolean(age));
  }

  /** @param {ImageStatus} image @param {number} now */
  #drawMoved(image, now) {
    const idle = idleText(image, this.#health, now);
    const at = lastMove(image);
    setTime(this.#moved, at, idle || ago(at, now));
    setAttr(this.#moved, "data-idle", idle !== "");
    setAttr(this.#movedCell, "data-label", idle ? "" : "moved");
  }
}

/** Of an image that has ended, its end: that may be long before the daemon first saw it. @param {ImageStatus} image */
function lastMove(image) {
  return isActive(image) ? image.changed_at : (image.ended_at ?? image.changed_at);
}

/** @param {number} at @param {number} now */
function ago(at, now) {
  const seconds = now - at;
  if (seconds < 5) return "just now"; // so that the text does not flicker while every poll brings a move
  return `${roughDuration(seconds)} ago`;
}

/** @param {Entry} entry @returns {Node[]} */
function metaOf({ image, controller }) {
  const facts = [
    controller,
    image.version,
    image.patch && `patch ${image.patch}`,
    image.tenant === "admin" ? "" : image.tenant,
  ];
  const pairs = Object.entries(image.annotations).filter(([key]) => key !== "acknowledged");
  const chips = pairs
    .slice(0, MAX_ANNOTATIONS)
    .map(([key, value]) => externalText(`${key}=${truncate(value, 40)}`, { class: "annotation" }));
  const hidden = pairs.length - MAX_ANNOTATIONS;
  const more = hidden > 0 ? [h("span", { text: `and ${hidden} more` })] : [];
  return [...facts.filter(Boolean).map((fact) => externalText(truncate(fact, 60))), ...chips, ...more];
}
