/**
 * The upgrade of one controller as the event stream reports it: its units, and a log of what changed while this page
 * was open. Pure: times are Unix seconds of the daemon's clock. Values are replaced, never mutated.
 */

import {
  clusterOf,
  groupsOf,
  isLeftBehind,
  isNotDone,
  OPERATION_TEXTS,
  PHASE_TEXTS,
  stateText,
  unitName,
  unitStanding,
} from "./upgrade-status.js";
import { plural, roughDuration, truncate } from "./format.js";

/** @typedef {{at: number, subject: string, text: string, bad: boolean}} LogLine  `bad`: it needs an operator */

/**
 * @typedef {object} ControllerUpgrade
 * @property {UpgradeStatus} status
 * @property {ReadStatus | null} health of the read of units
 * @property {Map<string, UnitStatus>} units by uuid
 * @property {LogLine[]} log the oldest first
 * @property {number} since when the log begins
 */

const MAX_LOG_LINES = 1000;

/**
 * @param {ControllerUpgrade | undefined} before undefined: not known yet, so nothing of it is logged
 * @param {Part} part
 * @param {number} now
 * @param {{whole: boolean}} how `whole`: it has all units, not only those that differ
 * @returns {ControllerUpgrade | undefined} undefined: the upgrades of this controller are not watched
 */
export function applyUpgrade(before, part, now, { whole }) {
  const read = part.resources?.["upgrade"];
  const status = part.upgrade ?? (whole ? undefined : before?.status);
  if (!status || (!part.upgrade && !read)) return status && before;
  const units = new Map(whole ? [] : before?.units);
  for (const unit of /** @type {UnitStatus[]} */ (read?.objects ?? [])) units.set(unit.uuid, unit);
  for (const uuid of read?.gone ?? []) units.delete(uuid);
  const after = { status, units, health: read?.health ?? before?.health ?? null };
  if (!before) return { ...after, log: [], since: now };
  const lines = [...unitLines(before, after, now), ...statusLines(part.controller, before.status, status, now)];
  const log = lines.length ? [...before.log, ...lines].slice(-MAX_LOG_LINES) : before.log;
  return { ...after, log, since: before.since };
}

/** @typedef {Pick<ControllerUpgrade, "status" | "units">} Contents */

/** @param {Contents} before @param {Contents} after @param {number} at @returns {LogLine[]} */
function unitLines(before, after, at) {
  const lines = [];
  for (const [uuid, unit] of after.units) {
    const known = before.units.get(uuid);
    if (known === unit) continue;
    const changes = unit.kind === "se" ? engineChanges(known, unit) : unitChanges(known, unit);
    lines.push(...changes.map(({ text, bad = false }) => ({ at, subject: unitName(unit), text, bad })));
  }
  for (const [uuid, unit] of before.units)
    if (!after.units.has(uuid) && unit.kind !== "se")
      lines.push({ at, subject: unitName(unit), text: "is not listed any more", bad: false });
  return lines;
}

/** @typedef {{text: string, bad?: boolean}} LoggedChange */

/**
 * Of a Service Engine only that it failed: its group counts the others.
 * @param {UnitStatus | undefined} known
 * @param {UnitStatus} unit
 * @returns {LoggedChange[]}
 */
function engineChanges(known, unit) {
  const bad = unit.standing === "failed";
  return known && known.state !== unit.state && bad ? [{ text: withReason(stateText(unit), unit), bad }] : [];
}

/** @param {UnitStatus | undefined} known @param {UnitStatus} unit @returns {LoggedChange[]} */
function unitChanges(known, unit) {
  if (!known) return [{ text: `is listed now: ${stateText(unit)}` }];
  /** @type {LoggedChange[]} */
  const changes = [];
  if (unit.operation_key && unit.operation_key !== known.operation_key)
    changes.push({ text: `begins: ${OPERATION_TEXTS[unit.operation] ?? "an operation"}` });
  if (unit.state !== known.state)
    changes.push({
      text: withReason(`${stateText(known)} → ${stateText(unit)}`, unit),
      bad: unit.standing === "failed" || unit.state === "aborting",
    });
  else if (unit.standing === "stalled" && known.standing !== "stalled")
    changes.push({ text: "has not moved for too long", bad: true });
  if (unit.version !== known.version) changes.push({ text: `is at ${unit.version} now` });
  if (unit.acknowledged !== known.acknowledged)
    changes.push({ text: unit.acknowledged ? "acknowledged" : "acknowledgement removed" });
  return [...changes, ...countChanges(known, unit)];
}

/** @param {UnitStatus} known @param {UnitStatus} unit @returns {LoggedChange[]} */
function countChanges(known, unit) {
  /** @type {LoggedChange[]} */
  const changes = [];
  const { engines, tasks_completed: tasks, virtual_services: services } = unit;
  const all = engines?.expected ?? "?";
  if (engines && engines.completed > (known.engines?.completed ?? 0))
    changes.push({ text: `${engines.completed} of ${all} Service Engines done` });
  if (engines && engines.failed > (known.engines?.failed ?? 0))
    changes.push({ text: `${engines.failed} of ${all} Service Engines failed`, bad: true });
  const disrupted = services?.disrupted ?? 0;
  if (disrupted > (known.virtual_services?.disrupted ?? 0))
    changes.push({ text: `${plural(disrupted, "virtual service")} disrupted`, bad: true });
  if (unit.kind === "controller" && tasks && tasks > (known.tasks_completed ?? 0))
    changes.push({ text: `${tasks} of ${unit.tasks ?? "?"} tasks done` });
  return changes;
}

/** @param {string} controller @param {UpgradeStatus} before @param {UpgradeStatus} after @param {number} now */
function statusLines(controller, before, after, now) {
  /** @type {LogLine[]} */
  const lines = [];
  /** @param {string} text @param {number} [at] @param {boolean} [bad] */
  const add = (text, at = now, bad = false) => lines.push({ at, subject: controller, text, bad });
  const { away_since: away } = after;
  if (away !== null && before.away_since === null) add("the Controllers are away: they reboot", away);
  if (away === null && before.away_since !== null)
    add(`the Controllers are back, after ${roughDuration(now - before.away_since)}`);
  else if (after.phase && after.phase !== before.phase && after.phase !== "away") add(PHASE_TEXTS[after.phase]);
  const isBehind = after.done === false && Object.values(after.left_behind).some(Boolean);
  if (isMoving(before) && after.phase === "none" && isBehind)
    add(`not done: not everything is at ${after.to_version}`, now, true);
  if (after.done && before.done === false) add(`done: all that took part is at ${after.to_version}`);
  return lines;
}

/** @param {string} text @param {UnitStatus} unit */
function withReason(text, { reason }) {
  return reason ? `${text}: ${reason}` : text;
}

/**
 * What a screen reader is told of a change.
 * @param {string} controller
 * @param {ControllerUpgrade | undefined} before
 * @param {ControllerUpgrade | undefined} after
 * @returns {{text: string, bad: boolean}[]}
 */
export function announcements(controller, before, after) {
  if (!before || !after || before.log === after.log) return [];
  const last = before.log.at(-1);
  const lines = after.log.slice(last ? after.log.lastIndexOf(last) + 1 : 0);
  return lines
    .filter(({ subject, bad }) => bad || subject === controller)
    .map(({ subject, text, bad }) => ({
      bad,
      text: `${subject === controller ? controller : `${subject} on ${controller}`}: ${truncate(text, 160)}`,
    }));
}

/** Also while its Controllers are away for so long that nothing of it is known any more. @param {UpgradeStatus} status */
export function isMoving({ phase, away_since: away }) {
  return (phase !== null && phase !== "none") || away !== null;
}

/**
 * Whether an operator should see it among the fleet: it moves, or it ended badly. What ended is not shown any more when
 * the Controllers, or each group that did not get through, are acknowledged.
 * @param {ControllerUpgrade} upgrade
 */
export function needsStrip(upgrade) {
  if (isMoving(upgrade.status)) return true;
  const cluster = clusterOf(upgrade);
  if (cluster?.acknowledged) return false;
  const groups = groupsOf(upgrade).filter((unit) => unitStanding(unit) === "failed" || isLeftBehind(unit, upgrade));
  if (groups.length) return groups.some((unit) => !unit.acknowledged);
  return cluster?.standing === "failed" || isNotDone(upgrade);
}
