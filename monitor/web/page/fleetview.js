/** The fleet: controllers, what is under way, what failed. Puts the parts together; draws at most once a frame. */

import { Filters } from "./filters.js";
import { h, show } from "./dom.js";
import { List } from "./list.js";
import { arrange, choices, tally } from "./sort.js";
import { Strip } from "./progress-strip.js";
import { many } from "./format.js";

const CALM_MS = 250; // between two orders of the list while nobody types: more often nobody can read

export class FleetView {
  #ordered = 0;
  #late = null;
  #stalled = 0;

  /**
   * @param {Element} section
   * @param {{fleet: import("./fleet.js").Fleet, clock: import("./clock.js").Clock, ask: () => void,
   *   acknowledge: (entry: object) => void, announce: (sentence: string) => void}} of
   */
  constructor(section, of) {
    Object.assign(this, of);
    this.section = section;
    this.empty = section.querySelector("[data-part=empty]");
    const changed = (byHand) => this.#filterChanged(byHand);
    this.filters = new Filters(section.querySelector("form"), changed);
    this.strip = new Strip(section.querySelector("[data-part=controllers]"), (controller) =>
      this.filters.set({ ...this.filters.filter, controller }),
    );
    const table = section.querySelector("table");
    this.list = new List({
      table,
      more: section.querySelector("[data-part=more]"),
      again: () => this.#redraw(),
      acknowledge: this.acknowledge,
    });
  }

  #filterChanged(byHand) {
    if (!this.list) return;
    this.list.rewind();
    this.#redraw();
    clearTimeout(this.said);
    if (byHand) this.said = setTimeout(() => this.announce(`${this.filters.found.textContent} shown`), 1000);
  }

  #redraw() {
    this.#ordered = 0;
    this.ask();
  }

  /** Draw what is true now. */
  draw() {
    const { fleet, clock } = this;
    const now = clock.now;
    if (!fleet.known) return;
    const wait = this.#ordered + CALM_MS - performance.now();
    if (wait > 0) {
      this.#late ??= setTimeout(() => this.#redraw(), wait);
      return;
    }
    clearTimeout(this.#late);
    this.#late = null;
    this.#ordered = performance.now();
    const groups = arrange(fleet, this.filters.filter, now);
    const found = groups.reduce((sum, { entries }) => sum + entries.length, 0);
    this.filters.draw(choices(fleet), found, fleet.entries.size);
    this.strip.draw(fleet.controllers, now);
    this.list.draw(groups, fleet.controllers, now);
    this.#drawEmpty(found);
  }

  /** Once a second. */
  tick() {
    if (!this.fleet.known) return;
    const { stalled } = tally(this.fleet, this.clock.now);
    if (stalled !== this.#stalled) this.#redraw(); // one came to stand still, which no message says
    this.#stalled = stalled;
    this.strip.tick(this.clock.now);
    this.list.tick(this.clock.now);
  }

  #drawEmpty(found) {
    show(this.empty, found === 0);
    if (found) return;
    const total = this.fleet.entries.size;
    const words = total
      ? `None of ${many(total, "image")} fits the search and the filters.`
      : this.fleet.controllers.size
        ? "There is no image on any controller that could be read. One appears here as soon as its upload begins."
        : "No controller is watched, or none that you may see. The configuration of the daemon names them.";
    if (this.empty.textContent !== words) this.empty.replaceChildren(h("p", { text: words }));
  }
}
