/** The upgrade of a controller in words, from the daemon's facts. Pure; times are Unix seconds of the daemon's clock. */

import { GLYPHS } from "./status.js";
import { formatCount, formatTasks, plural, truncate } from "./format.js";

/** @import { ControllerUpgrade } from "./upgrades.js" */

/** @typedef {Pick<ControllerUpgrade, "status" | "units">} Contents */

/** @type {Record<UpgradePhase, string>} */
export const PHASE_TEXTS = {
  none: "nothing is under way any more",
  checking: "checks are running",
  controllers: "the Controllers are being upgraded",
  away: "the Controllers are rebooting",
  service_engines: "the Service Engines are being upgraded",
  suspended: "suspended: it waits for an operator",
  rolling_back: "rolling back to the old version",
};

/** By the daemon's word. @type {Record<string, string>} */
export const OPERATION_TEXTS = {
  upgrade: "upgrade",
  patch: "patch",
  rollback: "rollback",
  rollback_patch: "rollback of a patch",
  resume: "upgrade, resumed",
  restore: "restore",
  dry_run: "dry run",
  eval_upgrade: "checks for an upgrade",
  eval_patch: "checks for a patch",
  eval_rollback: "checks for a rollback",
  eval_rollback_patch: "checks for the rollback of a patch",
};

/** @type {Record<UpgradeState, string>} */
const STATE_TEXTS = {
  idle: "not begun",
  queued: "waits for its turn",
  checking: "checks are running",
  checked: "checks passed",
  check_failed: "checks failed",
  running: "in progress",
  aborting: "rolling back",
  suspended: "suspended",
  failed: "failed",
  completed: "completed",
  unknown: "unknown state",
};

/** The cluster of Controllers whose upgrade this is. @param {Contents} upgrade */
export function clusterOf({ status, units }) {
  return units.get(status.cluster);
}

/** The groups of Service Engines, and what is of no kind that the daemon knows. @param {Contents} upgrade */
export function groupsOf({ units }) {
  return [...units.values()].filter(({ kind }) => kind === "se_group" || kind === "unknown");
}

/** The name, with the cloud where there is one: groups of two clouds may have the same name. @param {UnitStatus} unit */
export function unitName({ name, uuid, cloud, kind }) {
  if (kind === "controller") return `Controllers (${truncate(name || uuid, 120)})`;
  return `${truncate(name || uuid, 120)}${cloud && kind === "se_group" ? ` in ${truncate(cloud, 80)}` : ""}`;
}

/** @param {UnitStatus} unit */
export function stateText({ state, standing, checks, fsm }) {
  if (standing === "stalled") return "stalled";
  if (state === "checked" && checks?.warnings) return "checks ended with warnings";
  if (state === "unknown" && fsm) return `unknown state ${truncate(fsm, 64)}`;
  return STATE_TEXTS[state];
}

/**
 * Service Engines that did not get through, also in a group that the Controller calls completed.
 * @param {UnitStatus} unit
 */
export function failedEngines({ engines }) {
  return engines ? engines.failed + engines.suspended : 0;
}

/**
 * What it means to an operator: a completed group with failed Service Engines has failed.
 * @param {UnitStatus} unit
 * @returns {Standing}
 */
export function unitStanding(unit) {
  if (!failedEngines(unit) || unit.standing === "stalled") return unit.standing;
  return unit.acknowledged ? "acknowledged" : "failed";
}

/**
 * How its state looks: the colour of a standing, and a sign that needs no colour.
 * @param {UnitStatus} unit
 * @returns {{standing: Standing, glyph: string}}
 */
export function unitLook(unit) {
  const standing = unitStanding(unit);
  if (unit.state === "aborting") return { standing: "failed", glyph: "↩" };
  if (standing === "failed" && unit.state === "suspended") return { standing, glyph: "‖" };
  if (standing === "completed" && unit.state === "idle") return { standing: "unknown", glyph: "○" };
  if (standing === "completed" && unit.checks?.warnings && unit.state === "checked")
    return { standing: "stalled", glyph: "!" };
  return { standing, glyph: standing === "active" && unit.state === "queued" ? "…" : GLYPHS[standing] };
}

/** Whether the page offers to acknowledge it, or to remove that. @param {UnitStatus} unit */
export function canAcknowledgeUnit(unit) {
  return unit.acknowledged || ["failed", "stalled"].includes(unitStanding(unit));
}

/** @type {Standing[]} */
const ORDER = ["failed", "stalled", "active", "unknown", "acknowledged", "completed"];
const byName = new Intl.Collator("en", { numeric: true }).compare;

/** @param {Contents} upgrade */
export function isAtRest({ status: { phase } }) {
  return !phase || phase === "none";
}

/** The Controller calls it completed, and it is not. @param {Contents} upgrade */
export function isNotDone(upgrade) {
  return isAtRest(upgrade) && upgrade.status.done === false && clusterOf(upgrade)?.state === "completed";
}

/**
 * Whether a group, or a Service Engine of it that was skipped, was left at another version, now that the upgrade has
 * ended. Other groups may be, too, and took no part: those with which nothing was ever done while the upgrade was not one
 * of the whole system.
 * @param {UnitStatus} unit
 * @param {Contents} upgrade
 */
export function isLeftBehind(unit, upgrade) {
  const cluster = clusterOf(upgrade);
  if (!cluster || !isNotDone(upgrade)) return false;
  const { se_group: groups, se: engines } = upgrade.status.left_behind;
  if (engines && unit.engines?.skipped) return true;
  return Boolean(groups) && unit.version !== cluster.version && (cluster.system || unit.state !== "idle");
}

/** What a group that `isLeftBehind` is. @param {UnitStatus} unit @param {Contents} upgrade */
export function leftBehindText(unit, upgrade) {
  if (unit.version !== clusterOf(upgrade)?.version) return "left behind";
  return `${plural(unit.engines?.skipped ?? 0, "Service Engine")} skipped`;
}

/** "1 Service Engine group and 2 Service Engines". @param {Contents} upgrade */
export function allLeftBehind({ status }) {
  const { se_group: groups = 0, se: engines = 0 } = status.left_behind;
  const behind = [groups && plural(groups, "Service Engine group"), engines && plural(engines, "Service Engine")];
  return behind.filter(Boolean).join(" and ") || "a Service Engine group";
}

/**
 * Those that need an operator first, then those under way, those that wait, and those that are over.
 * @param {Contents} upgrade
 * @returns {UnitStatus[]}
 */
export function sortGroups(upgrade) {
  /** @param {UnitStatus} unit */
  const rank = (unit) => {
    if (isLeftBehind(unit, upgrade)) return 1;
    return 2 * ORDER.indexOf(unitStanding(unit)) + Number(["queued", "completed"].includes(unit.state));
  };
  return groupsOf(upgrade)
    .map((unit) => ({ unit, rank: rank(unit), name: unitName(unit) }))
    .sort((a, b) => a.rank - b.rank || byName(a.name, b.name) || (a.unit.uuid < b.unit.uuid ? -1 : 1))
    .map(({ unit }) => unit);
}

/** How many Service Engines are upgraded, of all: "5 of 12"; "" while no group tells. @param {Contents} upgrade */
export function enginesDone(upgrade) {
  const told = groupsOf(upgrade).flatMap(({ engines }) => engines ?? []);
  if (!told.length) return "";
  const completed = told.reduce((sum, engines) => sum + engines.completed, 0);
  const listed = told.reduce((sum, engines) => sum + enginesOf(engines), 0);
  const whole = clusterOf(upgrade)?.system ? [...upgrade.units.values()].filter(({ kind }) => kind === "se").length : 0;
  return `${formatCount(completed)} of ${formatCount(Math.max(listed, whole))}`; // groups that wait list none yet
}

/** @param {EngineCounts} engines */
export function enginesOf({ expected, completed, failed, in_progress, not_started, suspended, skipped }) {
  return expected ?? completed + failed + in_progress + not_started + suspended + skipped;
}

/** "1 group suspended"; "" while none failed, or is acknowledged. @param {Contents} upgrade */
export function failedGroups(upgrade) {
  const failed = groupsOf(upgrade).filter((unit) => unitStanding(unit) === "failed");
  const isSuspended = failed.every(({ state }) => state === "suspended");
  return failed.length ? `${plural(failed.length, "group")} ${isSuspended ? "suspended" : "failed"}` : "";
}

/**
 * The state of the whole upgrade: as a heading has it.
 * @typedef {{text: string, standing: Standing, glyph?: string}} Headline `glyph`: where it is not that of the standing
 * @param {Contents} upgrade
 * @returns {Headline}
 */
export function headline(upgrade) {
  const { phase, operation } = upgrade.status;
  const failed = failedGroups(upgrade);
  if (!phase || isAtRest(upgrade)) return restingHeadline(upgrade);
  const text = sentence(PHASE_TEXTS[phase]);
  const isAskedFor = phase === "rolling_back" && operation.startsWith("rollback");
  if ((phase === "rolling_back" && !isAskedFor) || phase === "suspended") return { text, standing: "failed" };
  if (!failed) return { text, standing: "active" };
  return { text: `${text}; ${failed}`, standing: "failed" };
}

/** @param {Contents} upgrade @returns {Headline} */
function restingHeadline({ status, units }) {
  const cluster = clusterOf({ status, units });
  if (!cluster || status.done === null) return { text: "No upgrade has run", standing: "unknown", glyph: "○" };
  if (status.done) return { text: "Done", standing: "completed" };
  const { standing } = unitLook(cluster);
  if (cluster.state === "check_failed") return { text: "Checks failed; nothing was changed", standing };
  if (cluster.state === "checked") return { text: `${sentence(stateText(cluster))}; nothing was changed`, standing };
  if (cluster.state === "completed")
    return { text: "Not done", standing: cluster.acknowledged ? "acknowledged" : "failed" };
  return { text: sentence(stateText(cluster)), standing };
}

/** What went wrong, or whether all is at the new version; "" while neither is to be said. @param {Contents} upgrade */
export function outcomeText(upgrade) {
  const { status } = upgrade;
  const cluster = clusterOf(upgrade);
  if (!isAtRest(upgrade)) return troubleText(upgrade);
  if (!cluster || status.done === null) return "";
  if (status.done) return `Everything that took part is at ${cluster.version}.`;
  if (cluster.state === "failed") {
    const reason = cluster.reason && `${truncate(cluster.reason, 200)}. `;
    return `${reason}The Controllers are at ${cluster.version}.`;
  }
  if (cluster.state === "checked" || cluster.state === "check_failed") return `${checksText(cluster.checks)}.`;
  if (cluster.state !== "completed") return "";
  const who = allLeftBehind(upgrade);
  return `The Controllers are at ${cluster.version}, but not everything is: ${who} stayed at another version, or failed.`;
}

/** The reason that the worst unit gives while the upgrade goes on; "" while none failed. @param {Contents} upgrade */
function troubleText(upgrade) {
  const cluster = clusterOf(upgrade);
  const units = [...(cluster ? [cluster] : []), ...sortGroups(upgrade)];
  const worst = units.find((unit) => unit.reason && (unit.state === "aborting" || unitStanding(unit) === "failed"));
  return worst ? `${unitName(worst)}: ${truncate(worst.reason, 200)}` : "";
}

/** @param {string} text */
export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** 30.2.1 → 31.2.2, or the only version that is known: at 30.2.1; "" while none is. @param {Contents} upgrade */
export function versionsText(upgrade) {
  const { from_version: from, to_version: to } = upgrade.status;
  const one = to || from || clusterOf(upgrade)?.version;
  return truncate(from && to && from !== to ? `${from} → ${to}` : one ? `at ${one}` : "", 120);
}

/** How far the present phase is: "8 of 20 checks done"; "" where that is not told. @param {Contents} upgrade */
export function progressText(upgrade) {
  const cluster = clusterOf(upgrade);
  const { phase } = upgrade.status;
  if (phase === "checking" && cluster?.checks?.checks) return checksText(cluster.checks);
  if (phase === "controllers" && cluster?.tasks) return `${formatTasks(cluster)} tasks done`;
  const count = enginesDone(upgrade);
  return phase === "service_engines" && count ? `${count} Service Engines done` : "";
}

/** @param {CheckCounts | null} checks */
export function checksText(checks) {
  if (!checks) return "The Controller reports no checks.";
  const { checks: all, completed, warnings, errors } = checks;
  const parts = [all === null ? "" : `${completed ?? "?"} of ${plural(all, "check")} done`];
  parts.push(errors ? `${errors} failed` : "", warnings ? plural(warnings, "warning") : "");
  if (!errors && !warnings && all !== null && completed === all) parts.push("nothing found");
  return parts.filter(Boolean).join(", ") || "none reported yet";
}
