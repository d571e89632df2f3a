/** All groups of Service Engines of one controller, those that need an operator first. */

import { h, setChildren, setText, setVisible } from "./dom.js";
import { GroupRow } from "./upgrade-group.js";
import { sortGroups } from "./upgrade-status.js";
import { formatCount, plural } from "./format.js";

/** @import { GroupContext } from "./upgrade-group.js" */
/** @import { ControllerUpgrade } from "./upgrades.js" */

/** @typedef {{upgrade: ControllerUpgrade, now: number, groups: UnitStatus[]}} Drawn */

const FIRST_ROWS = 12; // about two screens; the others follow on demand
const ROWS_PER_FRAME = 2; // then: no key press has to wait for all of them

export class GroupList {
  /** By the uuid of the group. @type {Map<string, GroupRow>} */
  #rows = new Map();
  #limit = FIRST_ROWS;
  /** What the rows show: the first ones of all groups in their order. @type {Drawn | null} */
  #drawn = null;
  #empty = h("p", { class: "muted" });
  #list = h("ul", { class: "units", role: "list" });
  #more = h("button", { type: "button", on: { click: () => this.#showAll() } });
  element = h(
    "div",
    { class: "stack" },
    h("p", {
      class: "hint",
      text: "Service Engines carry the traffic of applications (virtual services). Each is taken out, upgraded, put back.",
    }),
    this.#empty,
    this.#list,
    this.#more,
  );

  /** @param {GroupContext} context */
  constructor(context) {
    this.context = context;
  }

  /** @param {ControllerUpgrade} upgrade @param {number} now */
  draw(upgrade, now) {
    const groups = sortGroups(upgrade);
    this.#drawn = { upgrade, now, groups };
    const shown = groups.slice(0, this.#limit);
    this.#release(new Set(shown.map(({ uuid }) => uuid)));
    setChildren(
      this.#list,
      shown.map((unit) => this.#row(unit, upgrade, now)),
    );
    setVisible(this.#empty, groups.length === 0);
    setText(this.#empty, "The Controller lists no groups of Service Engines.");
    setVisible(this.#more, groups.length > shown.length);
    setText(this.#more, `Show ${plural(groups.length - shown.length, "more group")} of ${formatCount(groups.length)}`);
  }

  #showAll() {
    const from = this.#limit;
    this.#grow();
    const next = this.#list.children[from]?.querySelector("button:not([hidden])");
    if (next instanceof HTMLElement) next.focus(); // the button that had the focus is gone
  }

  /** Append some more in this frame, and the others in those that follow. */
  #grow() {
    if (!this.#drawn) return;
    const { upgrade, now, groups } = this.#drawn;
    const added = groups.slice(this.#limit, this.#limit + ROWS_PER_FRAME);
    this.#limit += ROWS_PER_FRAME;
    this.#list.append(...added.map((unit) => this.#row(unit, upgrade, now)));
    setVisible(this.#more, false);
    if (groups.length > this.#limit) requestAnimationFrame(() => this.#grow());
  }

  /** @param {UnitStatus} unit @param {ControllerUpgrade} upgrade @param {number} now */
  #row(unit, upgrade, now) {
    let row = this.#rows.get(unit.uuid);
    if (!row) {
      row = new GroupRow(this.context);
      this.#rows.set(unit.uuid, row);
    }
    row.update(unit, upgrade, now);
    return row.element;
  }

  /** @param {Set<string>} kept uuids */
  #release(kept) {
    for (const [uuid, row] of this.#rows) {
      if (kept.has(uuid)) continue;
      row.stop();
      this.#rows.delete(uuid);
    }
  }

  refetch() {
    for (const row of this.#rows.values()) row.refetch();
  }

  stop() {
    for (const row of this.#rows.values()) row.stop();
  }
}
