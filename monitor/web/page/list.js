/**
 * Thousands of images, of which only those near the screen are drawn: a first screenful, and more as one scrolls.
 * Owns the rows of the table: one an image, moved rather than made again; a row that is free serves another image.
 */

import { h, say, show } from "./dom.js";
import { Row } from "./row.js";
import { count } from "./format.js";

const FIRST = 12; // rows: what one sees at first; the others follow a frame later, so that a key waits for none of them
const STEP = 25; // rows a frame while one scrolls
const PRESSED = 100; // rows when one asks for more
const SPARE = 200; // rows that are made and not shown
const AHEAD = "800px"; // about a screen

export class List {
  #rows = new Map(); // by the entry's key: those that are shown
  #spare = [];
  #rowOf = new WeakMap(); // by its element
  #heads = new Map(); // by the group's id
  #limit = FIRST;
  #total = 0;

  /** @param {{table: Element, more: Element, again: () => void, acknowledge: (entry: object) => void}} parts */
  constructor(parts) {
    Object.assign(this, parts);
    this.body = this.table.tBodies[0];
    this.seen = new IntersectionObserver((found) => found.forEach((each) => this.#see(each)), { rootMargin: "200px" });
    this.end = new IntersectionObserver((found) => found.some((each) => each.isIntersecting) && this.#grow(STEP), {
      rootMargin: AHEAD,
    });
    this.end.observe(this.more);
    this.button = this.more.querySelector("button");
    this.button.addEventListener("click", () => this.#grow(PRESSED));
  }

  /** Begin at the top again: other images were asked for. */
  rewind() {
    this.#limit = FIRST;
  }

  #grow(step) {
    if (this.#limit >= this.#total) return;
    this.#limit += step;
    this.end.unobserve(this.more); // so that it tells again where the end lies, also when it is near still
    this.end.observe(this.more);
    this.again();
  }

  #see({ target, isIntersecting }) {
    this.#rowOf.get(target).visible = isIntersecting;
  }

  /**
   * Draw the groups.
   * @param {{group: object, entries: {entry: object, standing: string}[]}[]} groups
   * @param {Map<string, object>} controllers
   */
  draw(groups, controllers, now) {
    this.#total = groups.reduce((sum, { entries }) => sum + entries.length, 0);
    const near = this.#near(groups);
    this.#release(new Set(near.flatMap(({ entries }) => entries.map(({ entry }) => entry.key))));
    const wanted = near.flatMap(({ group, entries, number }) => [
      this.#head(group, number),
      ...entries.map(({ entry, standing }) => this.#row(entry, controllers.get(entry.controller), standing, now)),
    ]);
    this.#place(wanted);
    show(this.table, wanted.length > 0);
    show(this.more, this.#total > this.#limit);
    say(this.button, `Show more (${count(Math.max(0, this.#total - this.#limit))} not shown)`);
  }

  tick(now) {
    for (const row of this.#rows.values()) if (row.visible) row.tick(now);
  }

  #head(group, number) {
    let head = this.#heads.get(group.id);
    if (!head) {
      const cell = h(
        "th",
        { role: "rowheader", scope: "rowgroup", colspan: "8" },
        h("span", { text: group.title }),
        " ",
        h("span", { class: "muted" }),
      );
      head = h("tr", { role: "row", class: "group", "data-group": group.id }, cell);
      this.#heads.set(group.id, head);
    }
    say(head.firstChild.lastChild, count(number));
    return head;
  }

  /** The first ones, up to the limit; `number`: how many there are in the group. */
  #near(groups) {
    const near = [];
    let left = this.#limit;
    for (const { group, entries } of groups) {
      if (left <= 0) break;
      near.push({ group, number: entries.length, entries: entries.slice(0, left) });
      left -= entries.length;
    }
    return near;
  }

  #row(entry, health, standing, now) {
    let row = this.#rows.get(entry.key);
    if (!row) {
      row = this.#spare.pop() ?? this.#make();
      this.#rows.set(entry.key, row);
    }
    row.update(entry, health, standing, now);
    return row.element;
  }

  #make() {
    const row = new Row(this.acknowledge);
    this.#rowOf.set(row.element, row);
    this.seen.observe(row.element);
    return row;
  }

  /** Free the rows of the images that are not shown any more. @param {Set<string>} kept keys */
  #release(kept) {
    for (const [key, row] of this.#rows) {
      if (kept.has(key)) continue;
      this.#rows.delete(key);
      row.element.remove();
      if (this.#spare.length < SPARE) this.#spare.push(row);
      else this.seen.unobserve(row.element);
    }
  }

  /** Put these into the table, in this order; touch those alone that stand elsewhere. */
  #place(wanted) {
    const heads = new Set(wanted);
    for (const head of this.#heads.values()) if (!heads.has(head)) head.remove();
    let at = this.body.firstElementChild;
    for (const element of wanted) {
      if (element === at) at = at.nextElementSibling;
      else if (element.isConnected && this.body.moveBefore)
        this.body.moveBefore(element, at); // it keeps the focus
      else this.body.insertBefore(element, at);
    }
  }
}
