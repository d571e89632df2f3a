/** The view of the fleet: controllers, their upgrades, filters, and the list of images. Draws at most once a frame. */

import { Filters } from "./filters.js";
import { find, h, setVisible } from "./dom.js";
import { ImageList } from "./list.js";
import { filterChoices, groupImages } from "./sort.js";
import { ControllerStrip } from "./controller-strip.js";
import { UpgradeStrips } from "./upgrade-strips.js";
import { plural } from "./format.js";

/** @import { Clock } from "./clock.js" */
/** @import { Entry, Fleet } from "./fleet.js" */

const MIN_SORT_INTERVAL_MS = 250; // without a key press the list is sorted no more often: more could not be read

/**
 * @typedef {object} FleetParts
 * @property {Fleet} fleet
 * @property {Clock} clock
 * @property {() => void} requestDraw
 * @property {(entry: Entry) => void} acknowledge
 * @property {(sentence: string) => void} announce
 */

export class FleetView {
  #sortedAt = -Infinity; // never; the page's time starts at 0, so 0 would delay the first draw
  /** @type {number | undefined} */
  #delayedDraw = undefined;
  /** @type {number | undefined} */
  #announceTimer = undefined;

  /** @param {HTMLElement} section @param {FleetParts} parts */
  constructor(section, { fleet, clock, requestDraw, acknowledge, announce }) {
    this.fleet = fleet;
    this.clock = clock;
    this.requestDraw = requestDraw;
    this.announce = announce;
    this.empty = find(section, "[data-part=empty]", HTMLElement);
    this.filters = new Filters(find(section, "form", HTMLFormElement), (byHand) => this.#filterChanged(byHand));
    this.strip = new ControllerStrip(find(section, "[data-part=controllers]", HTMLElement), (controller) =>
      this.filters.set({ ...this.filters.filter, controller }),
    );
    this.upgrades = new UpgradeStrips(find(section, "[data-part=upgrades]", HTMLElement));
    this.list = new ImageList({
      table: find(section, "table", HTMLTableElement),
      more: find(section, "[data-part=more]", HTMLElement),
      redraw: () => this.#drawNow(),
      acknowledge,
    });
  }

  /** @param {boolean} byHand */
  #filterChanged(byHand) {
    this.list.reset();
    this.#drawNow();
    clearTimeout(this.#announceTimer);
    if (byHand) this.#announceTimer = setTimeout(() => this.announce(`${this.filters.found.textContent} shown`), 1000);
  }

  /** In the next frame, however short ago the list was sorted. */
  #drawNow() {
    this.#sortedAt = -Infinity;
    this.requestDraw();
  }

  draw() {
    const { fleet, clock } = this;
    const { now } = clock;
    if (!fleet.loaded || now === null) return;
    const wait = this.#sortedAt + MIN_SORT_INTERVAL_MS - performance.now();
    if (wait > 0) {
      this.#delayedDraw ??= setTimeout(() => this.#drawNow(), wait);
      return;
    }
    clearTimeout(this.#delayedDraw);
    this.#delayedDraw = undefined;
    this.#sortedAt = performance.now();
    const groups = groupImages(fleet, this.filters.filter);
    const found = groups.reduce((sum, { entries }) => sum + entries.length, 0);
    this.filters.draw(filterChoices(fleet), found, fleet.entries.size);
    this.strip.draw(fleet.controllers, fleet.upgrades, now);
    this.upgrades.draw(fleet.upgrades, now);
    this.list.draw(groups, fleet.controllers, now);
    this.#drawEmpty(found);
  }

  /** Once a second: update what changes with time alone. */
  tick() {
    const { now } = this.clock;
    if (!this.fleet.loaded || now === null) return;
    this.strip.tick(now);
    this.upgrades.draw(this.fleet.upgrades, now);
    this.list.tick(now);
  }

  /** @param {number} found */
  #drawEmpty(found) {
    setVisible(this.empty, found === 0);
    if (found) return;
    const total = this.fleet.entries.size;
    const text = total
      ? `None of ${plural(total, "image")} matches the search and the filters.`
      : this.fleet.controllers.size
        ? "There are no images on the controllers that could be polled. An image appears when its upload starts."
        : "No controllers are configured, or your token may read none of them.";
    if (this.empty.textContent !== text) this.empty.replaceChildren(h("p", { text }));
  }
}
