/** One group of Service Engines: its row, which opens to its Service Engines and notes. */

import { apiUrl, getJson, unitPath } from "./api.js";
import { EngineBar } from "./engine-bar.js";
import { externalText, expandableText, h, setAttr, setText, setTime, setVisible } from "./dom.js";
import { engineTable, noteList } from "./engine-table.js";
import { problemBox } from "./problem.js";
import { Refetcher } from "./refetch.js";
import { endOfEstimate, GLYPHS } from "./status.js";
import { checkList } from "./upgrade-checks.js";
import {
  canAcknowledgeUnit,
  checksText,
  failedEngines,
  isLeftBehind,
  leftBehindText,
  stateText,
  unitLook,
  unitStanding,
} from "./upgrade-status.js";
import { clockTime, formatCount, formatDuration, isKnown, plural, roughDuration, truncate } from "./format.js";

/** @import { ControllerUpgrade } from "./upgrades.js" */

const MAX_NAME = 120;

/** @typedef {{body: TaskPage, etag: string | null}} Loaded */

/**
 * @typedef {object} GroupContext
 * @property {string} controller
 * @property {(unit: UnitStatus) => void} acknowledge
 */

export class GroupRow {
  /** @type {UnitStatus | null} */
  unit = null;
  /** With which it was drawn. @type {UpgradeStatus | null} */
  #status = null;
  /** While it is open. @type {Refetcher<Loaded> | null} */
  #tasks = null;
  /** @type {TaskPage | null} */
  #detail = null;
  #name = externalText("");
  #cloud = externalText("", { class: "muted" });
  #glyph = h("span", { class: "glyph", "aria-hidden": "true" });
  #state = h("span");
  #badge = h("span", { class: "badge" }, this.#glyph, " ", this.#state);
  #acknowledged = h("span", { class: "muted", text: "acknowledged" });
  #acknowledge = h("button", { type: "button", class: "small" });
  #bar = new EngineBar();
  #reason = h("div", { class: "reason-box", "data-state": "failed" });
  #services = h("span");
  #oldest = h("span");
  #oldestName = externalText("");
  #oldestSince = h("time");
  #end = h("time");
  #version = h("span");
  #checks = h("span");
  #facts = h("p", { class: "unit-facts" }, this.#services, this.#oldest, this.#end, this.#checks, this.#version);
  #toggle = h("button", { type: "button", class: "quiet", "aria-expanded": "false" });
  #opened = h("div", { class: "stack", hidden: true });
  element = h(
    "li",
    { class: "unit" },
    h(
      "div",
      { class: "line unit-head" },
      this.#badge,
      h("h3", {}, this.#name, " ", this.#cloud),
      this.#acknowledged,
      this.#acknowledge,
    ),
    this.#reason,
    this.#bar.element,
    h("div", { class: "line" }, this.#facts, this.#toggle),
    this.#opened,
  );

  /** @param {GroupContext} context */
  constructor({ controller, acknowledge }) {
    this.controller = controller;
    this.#oldest.append("longest in progress: ", this.#oldestName, ", ", this.#oldestSince);
    this.#acknowledge.addEventListener("click", () => this.unit && acknowledge(this.unit));
    this.#toggle.addEventListener("click", () => (this.#tasks ? this.#close() : this.#open()));
  }

  /** @param {UnitStatus} unit @param {ControllerUpgrade} upgrade @param {number} now */
  update(unit, upgrade, now) {
    const before = this.unit;
    const { status } = upgrade;
    this.unit = unit;
    if (before !== unit || status !== this.#status) this.#drawUnit(unit, upgrade);
    this.#status = status;
    if (this.#tasks && before && before.changed_at !== unit.changed_at) this.#tasks.refetch();
    this.#tick(unit, upgrade, now);
  }

  /** @param {UnitStatus} unit @param {ControllerUpgrade} upgrade */
  #drawUnit(unit, upgrade) {
    const isBehind = isLeftBehind(unit, upgrade);
    const standing = isBehind && !unit.acknowledged ? "failed" : unitStanding(unit);
    const look = isBehind ? { standing, glyph: GLYPHS[standing] } : unitLook(unit);
    setAttr(this.element, "data-uuid", unit.uuid);
    setAttr(this.element, "data-state", unit.state);
    setAttr(this.element, "data-standing", standing);
    setText(this.#name, truncate(unit.name || unit.uuid, MAX_NAME));
    setText(this.#cloud, truncate(unit.cloud, MAX_NAME));
    setAttr(this.#badge, "data-state", look.standing);
    setText(this.#glyph, look.glyph);
    const hasFailures = unit.state === "completed" && failedEngines(unit) > 0;
    const state = hasFailures ? "completed, but with failures" : stateText(unit);
    setText(this.#state, isBehind ? leftBehindText(unit, upgrade) : state);
    setVisible(this.#acknowledged, unit.acknowledged);
    setVisible(this.#acknowledge, isBehind || canAcknowledgeUnit(unit));
    setText(this.#acknowledge, unit.acknowledged ? "Remove acknowledgement" : "Acknowledge");
    setAttr(this.#acknowledge, "aria-label", `${this.#acknowledge.textContent}: ${truncate(unit.name, 60)}`);
    this.#bar.update(unit.engines);
    this.#reason.replaceChildren(...(unit.reason ? [expandableText(unit.reason, 300)] : []));
    setVisible(this.#reason, unit.reason !== "");
    setText(this.#services, servicesText(unit));
    setAttr(this.#services, "data-bad", Boolean(unit.virtual_services?.disrupted));
    setText(this.#checks, unit.checks?.errors || unit.checks?.warnings ? `checks: ${checksText(unit.checks)}` : "");
    setAttr(this.#toggle, "aria-label", `Service Engines and notes of ${truncate(unit.name, 60)}`);
    setText(this.#toggle, `${this.#tasks ? "Hide" : "Show"} its Service Engines and notes`);
  }

  /** @param {UnitStatus} unit @param {ControllerUpgrade} upgrade @param {number} now */
  #tick(unit, { units, health, status }, now) {
    const { oldest_engine: oldest, eta, standing } = unit;
    setVisible(this.#oldest, oldest !== null);
    if (oldest) {
      setText(this.#oldestName, truncate(units.get(oldest.uuid)?.name || oldest.uuid, 60));
      const duration = status.away_since === null ? `for ${roughDuration(now - oldest.since)}, ` : "";
      setTime(this.#oldestSince, oldest.since, `${duration}since ${clockTime(oldest.since, now)}`);
    }
    const end = eta && !health?.stale ? endOfEstimate(eta, now) : null;
    const ending = end && `ends ${end.text}${end.range ? ` (${end.range})` : ""}`;
    const took = unit.state === "completed" && isKnown(unit.duration_seconds);
    const ended = took ? `took ${formatDuration(unit.duration_seconds)}` : "";
    const stalled = standing === "stalled" ? `no move for ${roughDuration(now - unit.changed_at)}` : "";
    const other = status.to_version && unit.version !== status.to_version;
    setText(this.#version, unit.version ? `${other ? "still " : ""}at ${truncate(unit.version, 60)}` : "");
    setTime(this.#end, end?.at ?? null, stalled || ending?.replace("ends overdue", "overdue") || ended);
  }

  #open() {
    const { unit, controller } = this;
    if (!unit) return;
    const url = apiUrl(`${unitPath(unit.uuid)}/tasks`, { controller });
    const tasks = new Refetcher(
      (signal) => getJson(url, signal),
      ({ body }) => this.#showDetail(body),
      (error) => this.#showError(error),
    );
    this.#tasks = tasks;
    this.#detail = null;
    this.#opened.replaceChildren(h("p", { class: "muted", text: "Loading …" }));
    this.#setOpen(true);
    tasks.refetch();
  }

  #close() {
    this.stop();
    this.#setOpen(false);
  }

  /** @param {boolean} open */
  #setOpen(open) {
    setVisible(this.#opened, open);
    setAttr(this.#toggle, "aria-expanded", String(open));
    setText(this.#toggle, `${open ? "Hide" : "Show"} its Service Engines and notes`);
  }

  /** @param {TaskPage} detail */
  #showDetail(detail) {
    if (JSON.stringify(detail) === JSON.stringify(this.#detail)) return;
    this.#detail = detail;
    const { checks, engines = [], notes = [] } = detail;
    this.#opened.replaceChildren(engineTable(engines));
    if (notes.length) this.#opened.append(noteList(notes));
    if (checks.length) this.#opened.append(checkList(checks));
  }

  /** @param {unknown} error */
  #showError(error) {
    if (!this.#detail) this.#opened.replaceChildren(problemBox(error));
  }

  /** The token changed, or the daemon is back. */
  refetch() {
    this.#tasks?.refetch();
  }

  stop() {
    this.#tasks?.stop();
    this.#tasks = null;
  }
}

/** @param {UnitStatus} unit */
function servicesText({ virtual_services: services }) {
  if (!services || (!services.all && !services.disrupted)) return "";
  const { all, disrupted } = services;
  const of = all === null ? "virtual services" : `of ${plural(all, "virtual service")}`;
  return disrupted ? `${formatCount(disrupted)} ${of} disrupted` : `${plural(all ?? 0, "virtual service")}, none disrupted`;
}
