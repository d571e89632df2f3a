/** The controllers above the list: unhealthy ones first, each with the reason and its age; the others in one row. */

import { expandableText, externalText, find, h, setText, setTime, setVisible } from "./dom.js";
import { CONTROLLER_STATUSES, controllerStatus, isUnhealthy } from "./status.js";
import { upgradeHref } from "./place.js";
import { clockTime, formatCount, isKnown, plural, roughDuration } from "./format.js";

/** @import { ControllerState } from "./status.js" */
/** @import { ControllerUpgrade } from "./upgrades.js" */

/**
 * `linked`: there is a view of its upgrade.
 * @typedef {{name: string, health: ControllerHealth, status: ControllerState, label: string, linked: boolean}} Controller
 */

const MAX_HEALTHY = 24; // about two rows; more are folded
const MAX_UNHEALTHY = 8; // the images must stay in sight; more are folded
/** @type {Record<ControllerState, string>} */
const GLYPHS = { suspended: "✕", stale: "✕", down: "!", new: "…", upgrading: "↑", up: "✓" };

export class ControllerStrip {
  #drawn = "";
  /** @type {{element: HTMLTimeElement, seenAt: number}[]} */
  #times = [];

  /** @param {HTMLElement} section @param {(controller: string) => void} onSelect */
  constructor(section, onSelect) {
    this.onSelect = onSelect;
    this.count = find(section, "[data-part=count]", HTMLElement);
    this.unhealthy = find(section, "[data-part=unhealthy]", HTMLElement);
    this.healthy = find(section, "[data-part=healthy]", HTMLElement);
  }

  /**
   * @param {Map<string, ControllerHealth>} controllers
   * @param {Map<string, ControllerUpgrade>} upgrades
   * @param {number} now
   */
  draw(controllers, upgrades, now) {
    /** @type {Controller[]} */
    const all = [...controllers].map(([name, health]) => {
      const linked = Boolean(upgrades.get(name)?.units.size);
      return { name, health, linked, ...controllerStatus(health) };
    });
    all.sort(
      (a, b) =>
        CONTROLLER_STATUSES.indexOf(a.status) - CONTROLLER_STATUSES.indexOf(b.status) ||
        a.name.localeCompare(b.name, "en", { numeric: true }),
    );
    const signature = JSON.stringify(
      all.map(({ name, status, health, linked }) => [
        name,
        status,
        linked,
        health.cause,
        health.version,
        isUnhealthy(status) && health.seen_at,
      ]),
    );
    if (signature !== this.#drawn) this.#rebuild(all);
    this.#drawn = signature;
    this.tick(now);
  }

  /** @param {number} now */
  tick(now) {
    for (const { element, seenAt } of this.#times)
      setTime(element, seenAt, `${clockTime(seenAt, now)}, ${roughDuration(now - seenAt)} ago`);
  }

  /** @param {Controller[]} all */
  #rebuild(all) {
    const unhealthy = all.filter(({ status }) => isUnhealthy(status));
    const healthy = all.filter(({ status }) => !isUnhealthy(status));
    const up = all.filter(({ health }) => health.up).length;
    setText(this.count, all.length ? `${formatCount(up)} of ${formatCount(all.length)} up` : "none");
    this.#times = [];
    this.unhealthy.replaceChildren(...this.#unhealthyItems(unhealthy, isOpen(this.unhealthy)));
    setVisible(this.unhealthy, unhealthy.length > 0);
    this.healthy.replaceChildren(this.#healthyList(all.length, healthy, isOpen(this.healthy)));
  }

  /** @param {Controller[]} controllers @param {boolean} open whether the folded ones are shown */
  #unhealthyItems(controllers, open) {
    const items = controllers.map((each) => this.#unhealthyItem(each));
    if (items.length <= MAX_UNHEALTHY + 1) return items;
    const rest = h("ul", { class: "unhealthy-list", role: "list" }, ...items.slice(MAX_UNHEALTHY));
    const summary = h("summary", { text: plural(items.length - MAX_UNHEALTHY, "more unhealthy controller") });
    const folded = h("details", { open }, summary, rest);
    return [...items.slice(0, MAX_UNHEALTHY), h("li", { class: "unhealthy-more" }, folded)];
  }

  /** @param {Controller} controller */
  #unhealthyItem({ name, health, status, label }) {
    const seen = h("span", { class: "muted" });
    if (isKnown(health.seen_at)) {
      const element = h("time");
      this.#times.push({ element, seenAt: health.seen_at });
      seen.append("its images are as of ", element);
    } else seen.append("never polled successfully");
    const reason = [health.reason, health.cause].filter(Boolean).join(": ");
    const glyph = h("span", { "aria-hidden": "true", text: GLYPHS[status] });
    return h(
      "li",
      { class: "unhealthy", "data-controller": name, "data-state": status },
      h("span", { class: "badge", "data-state": status }, glyph, ` ${label}`),
      this.#selectButton(name),
      reason ? expandableText(reason, 160) : null,
      seen,
    );
  }

  /** @param {number} total @param {Controller[]} controllers @param {boolean} open whether the folded list is shown */
  #healthyList(total, controllers, open) {
    if (!total) return h("p", { class: "muted", text: "This daemon watches no controllers that you may read." });
    const items = controllers.map((each) => this.#healthyItem(each));
    const list = h("ul", { class: "healthy-list", role: "list" }, ...items);
    if (controllers.length <= MAX_HEALTHY) return list;
    return h("details", { open }, h("summary", { text: plural(controllers.length, "healthy controller") }), list);
  }

  /** @param {Controller} controller */
  #healthyItem({ name, health, status, label, linked }) {
    const href = linked ? upgradeHref(name) : null;
    const aria = linked ? `${health.version}: upgrade of ${name}` : null;
    const version = health.version
      ? h(linked ? "a" : "span", { class: "muted", href, "aria-label": aria }, externalText(health.version))
      : null;
    const glyph = h("span", { class: "glyph", "aria-hidden": "true", text: GLYPHS[status] });
    const text = h("span", { class: status === "up" ? "visually-hidden" : "muted", text: ` ${label}` });
    const select = this.#selectButton(name);
    return h("li", { "data-controller": name, "data-state": status }, glyph, select, " ", version, text);
  }

  /** @param {string} name */
  #selectButton(name) {
    const button = h("button", {
      type: "button",
      class: "name",
      title: `Show only the images of ${name}`,
      "aria-label": `${name}: show only its images`,
      on: { click: () => this.onSelect(name) },
    });
    button.append(externalText(name));
    return button;
  }
}

/** @param {HTMLElement} part */
function isOpen(part) {
  return part.querySelector(":scope > details[open], .unhealthy-more > details[open]") !== null;
}
