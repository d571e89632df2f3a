/** One image: its facts, what each node did, when, what is in it, what people wrote on it, and the ways to act. */

import { imagePath, read, Refused, routeOf } from "./api.js";
import { foreign, h, longText, say, show, timeOf } from "./dom.js";
import { annotationList, Facts } from "./image-facts.js";
import { Follow } from "./refetch.js";
import { isActive } from "./status.js";
import { matrix } from "./matrix.js";
import { auditList, packageList, rawView } from "./package-info.js";
import { problemBox } from "./problem.js";
import { timeline } from "./timeline.js";
import { clip } from "./format.js";

const AUDITED = 10;

export class ImageView {
  #entry = null;
  #health = undefined;
  #detail = null;
  #raw = null;
  #open = new Set();
  #width = 0;

  /** @param {{entry: object, act: {annotate, remove, acknowledge, adjust}}} of */
  constructor({ entry, act }) {
    const query = { controller: entry.controller };
    this.act = act;
    this.facts = new Facts();
    this.rawView = rawView(routeOf(imagePath(entry), query), () => this.#raw);
    this.element = this.#frame(entry);
    const of =
      (path, more = {}) =>
      (signal) =>
        read(routeOf(path, { ...query, ...more }), signal);
    this.nodes = new Follow(
      of(`${imagePath(entry)}/nodes`),
      ({ body }) => this.#takeNodes(body),
      (error) => this.#failNodes(error),
    );
    this.raw = new Follow(
      of(imagePath(entry)),
      ({ body }) => this.#takeRaw(body),
      (error) => this.#failRaw(error),
      5000,
    );
    this.audit = new Follow(
      of("audit", { image: entry.image.uuid, page_size: AUDITED }),
      ({ body }) => this.#takeAudit(body),
      (error) => this.#failAudit(error),
      3000,
    );
    this.sized = new ResizeObserver(() => this.#drawTimeline());
    this.sized.observe(this.parts.timeline);
  }

  #frame(entry) {
    const part = (name, words) => [name, h("div", { "data-part": name }, h("p", { class: "muted", text: words }))];
    this.parts = Object.fromEntries([
      part("matrix", "Reading what each node did …"),
      part("timeline", "Reading what each node did …"),
      part("package", "Reading the image object …"),
      part("annotations", ""),
      part("audit", "Reading the audit …"),
    ]);
    this.title = h("h1", { tabindex: "-1" });
    this.where = h("p", { class: "muted" }, foreign(entry.controller));
    const button = (text, press, kind = "") => h("button", { type: "button", class: kind, text, on: { click: press } });
    this.acknowledgeButton = button("Acknowledge", () => this.act.acknowledge(this.#entry), "primary");
    const acts = h(
      "div",
      { class: "line acts", role: "group", "aria-label": "Change this image" },
      this.acknowledgeButton,
      button("Annotate", () => this.act.annotate(this.#entry)),
      button("Adjust", () => this.act.adjust(this.#entry)),
    );
    const head = h(
      "div",
      { class: "image-head" },
      h("a", { href: "#/", class: "back", text: "← All images" }),
      this.title,
      this.where,
      acts,
    );
    const scroller = h(
      "div",
      { class: "scroller", role: "region", "aria-label": "Table of nodes and tasks", tabindex: "0" },
      this.parts.matrix,
    );
    return h(
      "article",
      { class: "image-view", "data-controller": entry.controller, "data-uuid": entry.image.uuid },
      head,
      panel("State", this.facts.element),
      panel("Nodes and tasks", scroller),
      panel("Timeline", this.parts.timeline),
      h(
        "div",
        { class: "columns" },
        panel("Annotations", this.parts.annotations),
        panel("Package", this.parts.package),
      ),
      panel("Audit", this.parts.audit),
      panel("Raw object", this.rawView.element),
    );
  }

  /** Draw what the stream says. */
  draw(entry, health, now) {
    const before = this.#entry;
    this.#entry = entry;
    const { image } = entry;
    if (!before || before.image.name !== image.name)
      this.title.replaceChildren(longText(image.name || image.uuid, 200));
    const facts = [entry.controller, image.version, image.patch && `patch ${image.patch}`]
      .filter(Boolean)
      .map((each) => clip(each, 80));
    say(this.where.firstChild, facts.join(" · "));
    say(this.acknowledgeButton, image.acknowledged ? "Take acknowledgement back" : "Acknowledge");
    show(this.acknowledgeButton, image.acknowledged || image.state === "failed" || isActive(image));
    this.facts.draw(entry, health, now);
    if (before?.image === image && this.#health === health) return;
    this.#readAgain(before, image, health);
  }

  #readAgain(before, image, health) {
    const back = this.#health !== undefined && !this.#health.up && health?.up;
    this.#health = health;
    const moved = !before || back || before.image.changed_at !== image.changed_at || before.image.state !== image.state;
    if (moved) this.nodes.poke();
    const notes = (of) => JSON.stringify(of.annotations);
    const noted = !before || notes(before.image) !== notes(image) || before.image.name !== image.name;
    if (noted)
      this.parts.annotations.replaceChildren(
        annotationList(image.annotations, (key) => this.act.remove(this.#entry, key)),
      );
    if (moved || noted) this.raw.poke();
    if (noted) this.audit.poke();
    if (!before || !this.#raw) this.parts.package.replaceChildren(packageList(image, this.#raw));
  }

  /** Somebody changed it here: the audit knows, and the object may be another one. */
  changed() {
    this.raw.poke();
    this.audit.poke();
  }

  /** Another token was entered: what was refused may be read now. */
  again() {
    for (const each of [this.nodes, this.raw, this.audit]) each.poke();
  }

  #takeNodes(detail) {
    if (JSON.stringify(detail) === JSON.stringify(this.#detail)) return;
    this.#detail = detail;
    const { matrix: place } = this.parts;
    const focused = place.contains(document.activeElement)
      ? [...place.querySelectorAll("summary, button")].indexOf(document.activeElement)
      : -1;
    place.replaceChildren(
      detail.events.length
        ? matrix(detail, this.#open)
        : h("p", { class: "muted", text: "The Controller names no task of this image yet." }),
    );
    if (focused >= 0) [...place.querySelectorAll("summary, button")][focused]?.focus();
    this.#width = 0;
    this.#drawTimeline();
  }

  #drawTimeline() {
    const { timeline: place } = this.parts;
    const width = Math.floor(place.clientWidth);
    if (!this.#detail || !width || width === this.#width) return;
    this.#width = width;
    const open = place.querySelector("details")?.open ?? false;
    place.replaceChildren(timeline(this.#detail, width));
    const details = place.querySelector("details");
    if (details) details.open = open;
  }

  #failNodes(error) {
    if (this.#detail) return; // the head of the page says that it is old
    this.parts.matrix.replaceChildren(problemBox(error));
    this.parts.timeline.replaceChildren(h("p", { class: "muted", text: "What each node did could not be read." }));
  }

  #takeRaw(raw) {
    this.#raw = raw;
    this.rawView.fill();
    if (this.#entry) this.parts.package.replaceChildren(packageList(this.#entry.image, raw));
  }

  #failRaw(error) {
    if (this.#raw || !this.#entry) return;
    this.parts.package.replaceChildren(
      packageList(this.#entry.image, null),
      h("p", { class: "muted", text: `The rest of it could not be read: ${error.message}` }),
    );
  }

  #takeAudit({ results }) {
    this.parts.audit.replaceChildren(auditList(results, timeOf));
  }

  #failAudit(error) {
    const hidden = error instanceof Refused && (error.problem.status === 401 || error.problem.status === 403);
    const words = hidden ? "Shown to those whose token has the scope admin." : `It could not be read: ${error.message}`;
    this.parts.audit.replaceChildren(h("p", { class: "muted", text: words }));
  }

  stop() {
    for (const each of [this.nodes, this.raw, this.audit]) each.stop();
    this.sized.disconnect();
  }
}

function panel(title, ...children) {
  const id = `part-${title.toLowerCase().replaceAll(" ", "-")}`;
  return h("section", { class: "panel", "aria-labelledby": id }, h("h2", { id, text: title }), ...children);
}
