/** The controllers: those in trouble first, each with its reason and as of when; the others as a compact row. */

import { foreign, h, longText, mark, say, setTime, show } from "./dom.js";
import { condition } from "./status.js";
import { clockTime, count, isKnown, many, rough } from "./format.js";

const CHIPS = 24; // about two rows; beyond it they fold
const TROUBLES = 8; // the images have to be seen, too; beyond it they fold
const GLYPHS = { suspended: "✕", stale: "✕", down: "!", new: "…", upgrading: "↑", up: "✓" };
const WORST_FIRST = ["suspended", "stale", "down", "new", "upgrading", "up"];
const TROUBLED = new Set(["suspended", "stale", "down"]);

export class Strip {
  #drawn = "";
  #times = [];

  /** @param {Element} section @param {(controller: string) => void} choose */
  constructor(section, choose) {
    this.choose = choose;
    this.count = section.querySelector("[data-part=count]");
    this.troubled = section.querySelector("[data-part=troubled]");
    this.well = section.querySelector("[data-part=well]");
  }

  /** @param {Map<string, object>} controllers @param {number} now */
  draw(controllers, now) {
    const all = [...controllers].map(([name, health]) => ({ name, health, ...condition(health) }));
    all.sort(
      (a, b) =>
        WORST_FIRST.indexOf(a.kind) - WORST_FIRST.indexOf(b.kind) ||
        a.name.localeCompare(b.name, "en", { numeric: true }),
    );
    const signature = JSON.stringify(
      all.map(({ name, kind, health }) => [
        name,
        kind,
        health.cause,
        health.version,
        TROUBLED.has(kind) && health.seen_at,
      ]),
    );
    if (signature !== this.#drawn) this.#rebuild(all);
    this.#drawn = signature;
    this.tick(now);
  }

  tick(now) {
    for (const { node, seenAt } of this.#times)
      setTime(node, seenAt, `${clockTime(seenAt, now)}, ${rough(now - seenAt)} ago`);
  }

  #rebuild(all) {
    const troubled = all.filter(({ kind }) => TROUBLED.has(kind));
    const well = all.filter(({ kind }) => !TROUBLED.has(kind));
    const up = all.filter(({ health }) => health.up).length;
    say(this.count, all.length ? `${count(up)} of ${count(all.length)} up` : "none");
    this.#times = [];
    const isOpen = (part) => part.querySelector(":scope > details, .more-trouble > details")?.open ?? false;
    this.troubled.replaceChildren(...this.#troubles(troubled, isOpen(this.troubled)));
    show(this.troubled, troubled.length > 0);
    this.well.replaceChildren(...this.#chips(all.length, well, isOpen(this.well)));
  }

  #troubles(troubled, open) {
    const lines = troubled.map((each) => this.#trouble(each));
    if (lines.length <= TROUBLES + 1) return lines;
    const rest = h("ul", { class: "troubles", role: "list" }, ...lines.slice(TROUBLES));
    const more = h("summary", { text: `${many(lines.length - TROUBLES, "more controller")} in trouble` });
    return [...lines.slice(0, TROUBLES), h("li", { class: "more-trouble" }, h("details", { open }, more, rest))];
  }

  #trouble({ name, health, kind, word }) {
    const seen = h("span", { class: "muted" });
    if (isKnown(health.seen_at)) {
      const node = h("time");
      this.#times.push({ node, seenAt: health.seen_at });
      seen.append("its images are as of ", node);
    } else seen.append("nothing was ever read of it");
    const reason = [health.reason, health.cause].filter(Boolean).join(": ");
    return h(
      "li",
      { class: "trouble", "data-controller": name, "data-state": kind },
      h(
        "span",
        { class: "badge", "data-state": kind },
        h("span", { "aria-hidden": "true", text: GLYPHS[kind] }),
        ` ${word}`,
      ),
      this.#button(name),
      reason ? longText(reason, 160) : null,
      seen,
    );
  }

  #chips(total, well, open) {
    if (!total) return [h("p", { class: "muted", text: "No controller that you may see is watched by this daemon." })];
    const list = h("ul", { class: "chips", role: "list" }, ...well.map((each) => this.#chip(each)));
    if (well.length <= CHIPS) return [list];
    return [h("details", { open }, h("summary", { text: `${many(well.length, "controller")} without trouble` }), list)];
  }

  #chip({ name, health, kind, word }) {
    const version = health.version ? h("span", { class: "muted" }, " ", foreign(health.version)) : null;
    const glyph = h("span", { class: "glyph", "aria-hidden": "true", text: GLYPHS[kind] });
    const shown =
      kind === "up" ? h("span", { class: "unseen", text: " up" }) : h("span", { class: "muted", text: ` ${word}` });
    return h("li", { "data-controller": name, "data-state": kind }, glyph, this.#button(name), version, shown);
  }

  #button(name) {
    const button = h("button", {
      type: "button",
      class: "name",
      title: `Show the images of ${name} alone`,
      on: { click: () => this.choose(name) },
    });
    button.append(foreign(name));
    mark(button, "aria-label", `${name}: show its images alone`);
    return button;
  }
}
