/**
 * The table of images. Of thousands, only those near the screen are drawn: a first screenful, and more on scrolling.
 * Owns the rows of the table: one per image, moved rather than recreated. A row whose image is no longer shown is reused.
 */

import { find, h, setChildren, setText, setVisible } from "./dom.js";
import { Row } from "./row.js";
import { formatCount } from "./format.js";

/** @import { Entry } from "./fleet.js" */
/** @import { Group, GroupedEntries, RankedEntry } from "./sort.js" */

const FIRST_ROWS = 12; // the first screenful; the others follow a frame later, so that they delay no key press
const ROWS_PER_SCROLL = 25; // in one frame
const ROWS_PER_CLICK = 100; // on "Show more"
const MAX_FREE_ROWS = 200;
const SCROLL_AHEAD = "800px"; // about a screen

/** @typedef {{group: Group, count: number, entries: RankedEntry[]}} VisibleGroup `count` includes entries that are not shown */

/**
 * @typedef {object} ListParts
 * @property {HTMLTableElement} table
 * @property {HTMLElement} more stands below the table
 * @property {() => void} redraw
 * @property {(entry: Entry) => void} acknowledge
 */

export class ImageList {
  /** The rows in the table, by the entry's key. @type {Map<string, Row>} */
  #rows = new Map();
  /** @type {Row[]} */
  #freeRows = [];
  /** @type {WeakMap<Element, Row>} */
  #rowOf = new WeakMap();
  /** By the group's id. @type {Map<string, {element: HTMLTableRowElement, count: HTMLElement}>} */
  #headings = new Map();
  #limit = FIRST_ROWS;
  #total = 0;

  /** @param {ListParts} parts */
  constructor({ table, more, redraw, acknowledge }) {
    this.table = table;
    this.more = more;
    this.redraw = redraw;
    this.acknowledge = acknowledge;
    this.body = find(table, "tbody", HTMLTableSectionElement);
    this.rowObserver = new IntersectionObserver(
      (changes) => {
        for (const { target, isIntersecting } of changes) {
          const row = this.#rowOf.get(target);
          if (row) row.visible = isIntersecting;
        }
      },
      { rootMargin: "200px" },
    );
    this.endObserver = new IntersectionObserver(
      (changes) => changes.some(({ isIntersecting }) => isIntersecting) && this.#grow(ROWS_PER_SCROLL),
      { rootMargin: SCROLL_AHEAD },
    );
    this.endObserver.observe(more);
    this.button = find(more, "button", HTMLButtonElement);
    this.button.addEventListener("click", () => this.#grow(ROWS_PER_CLICK));
  }

  /** Show only the first rows again, because the filter changed. */
  reset() {
    this.#limit = FIRST_ROWS;
  }

  /** @param {number} step */
  #grow(step) {
    if (this.#limit >= this.#total) return;
    this.#limit += step;
    this.endObserver.unobserve(this.more); // the observer then reports again, even if the end is still in sight
    this.endObserver.observe(this.more);
    this.redraw();
  }

  /**
   * @param {GroupedEntries[]} groups
   * @param {Map<string, ControllerHealth>} controllers
   * @param {number} now
   */
  draw(groups, controllers, now) {
    this.#total = groups.reduce((sum, { entries }) => sum + entries.length, 0);
    const visible = this.#withinLimit(groups);
    this.#release(new Set(visible.flatMap(({ entries }) => entries.map(({ entry }) => entry.key))));
    const elements = visible.flatMap(({ group, entries, count }) => [
      this.#heading(group, count),
      ...entries.map(({ entry, standing }) => this.#row(entry, controllers.get(entry.controller), standing, now)),
    ]);
    setChildren(this.body, elements);
    setVisible(this.table, elements.length > 0);
    setVisible(this.more, this.#total > this.#limit);
    setText(this.button, `Show more (${formatCount(Math.max(0, this.#total - this.#limit))} not shown)`);
  }

  /** @param {number} now */
  tick(now) {
    for (const row of this.#rows.values()) if (row.visible) row.tick(now);
  }

  /** @param {Group} group @param {number} count */
  #heading(group, count) {
    let heading = this.#headings.get(group.id);
    if (!heading) {
      const number = h("span", { class: "muted" });
      const cell = h(
        "th",
        { role: "rowheader", scope: "rowgroup", colspan: "8" },
        h("span", { text: group.title }),
        " ",
        number,
      );
      heading = {
        element: h("tr", { role: "row", class: "group", "data-group": group.id }, cell),
        count: number,
      };
      this.#headings.set(group.id, heading);
    }
    setText(heading.count, formatCount(count));
    return heading.element;
  }

  /** @param {GroupedEntries[]} groups @returns {VisibleGroup[]} */
  #withinLimit(groups) {
    const visible = [];
    let left = this.#limit;
    for (const { group, entries } of groups) {
      if (left <= 0) break;
      visible.push({ group, count: entries.length, entries: entries.slice(0, left) });
      left -= entries.length;
    }
    return visible;
  }

  /** @param {Entry} entry @param {ControllerHealth | undefined} health @param {Standing} standing @param {number} now */
  #row(entry, health, standing, now) {
    let row = this.#rows.get(entry.key);
    if (!row) {
      row = this.#freeRows.pop() ?? this.#newRow();
      this.#rows.set(entry.key, row);
    }
    row.update(entry, health, standing, now);
    return row.element;
  }

  #newRow() {
    const row = new Row(this.acknowledge);
    this.#rowOf.set(row.element, row);
    this.rowObserver.observe(row.element);
    return row;
  }

  /** Free the rows of images that are no longer shown. @param {Set<string>} kept keys */
  #release(kept) {
    for (const [key, row] of this.#rows) {
      if (kept.has(key)) continue;
      this.#rows.delete(key);
      row.element.remove();
      if (this.#freeRows.length < MAX_FREE_ROWS) this.#freeRows.push(row);
      else this.rowObserver.unobserve(row.element);
    }
  }
}
