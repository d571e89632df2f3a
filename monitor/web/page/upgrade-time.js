/**
 * How long an upgrade has been under way, how long it will be, and how long its Controllers are away. Pure; times are
 * Unix seconds of the daemon's clock, but for when an operation began and ended: that is the Controller's.
 */

import { endOfEstimate } from "./status.js";
import { clusterOf, groupsOf, isAtRest } from "./upgrade-status.js";
import { clockTime, formatDuration, isKnown, roughDuration } from "./format.js";

/** @import { Contents } from "./upgrade-status.js" */
/** @import { ControllerUpgrade } from "./upgrades.js" */

/** @type {Set<UpgradeState>} */
const UNDER_WAY = new Set(["queued", "checking", "running", "aborting", "suspended"]);

/**
 * For how long it has been under way, or how long it took; "" where that is not known.
 * @param {Contents} upgrade
 * @param {number} now
 */
export function durationText(upgrade, now) {
  const cluster = clusterOf(upgrade);
  if (isAtRest(upgrade)) {
    if (!cluster?.system || !isKnown(cluster.duration_seconds) || !isKnown(cluster.ended_at)) return "";
    return `Took ${formatDuration(cluster.duration_seconds)}, until ${clockTime(cluster.ended_at, now)}.`;
  }
  const units = [...(cluster ? [cluster] : []), ...groupsOf(upgrade)].filter(({ state }) => UNDER_WAY.has(state));
  const began = units.map(({ started_at: at }) => at).filter(isKnown);
  if (!began.length) return "";
  const since = Math.min(...began);
  return `Under way for ${roughDuration(now - since)}, since ${clockTime(since, now)}.`;
}

/**
 * How long it will be until the end. `of`: of what the end is; "" for all of it. `range`: the uncertainty, or "".
 * @typedef {{at: number | null, text: string, of: "" | "Controllers", range: string}} TimeLeft
 * @param {ControllerUpgrade} upgrade
 * @param {number} now
 * @returns {TimeLeft | null} null: nothing is under way, or how long it will be is not a matter of pace
 */
export function timeLeft(upgrade, now) {
  const { status, health } = upgrade;
  if (isAtRest(upgrade) || status.phase === "suspended") return null;
  const ofControllers = status.phase === "controllers" || status.phase === "away" ? clusterOf(upgrade)?.eta : null;
  const eta = health?.stale ? null : (status.eta ?? ofControllers);
  if (!eta) return status.away_since === null ? { at: null, text: "not known yet", of: "", range: "" } : null;
  const { at, text, range } = endOfEstimate(eta, now);
  return { at, text, of: status.eta ? "" : "Controllers", range };
}

const EXPECTED_ABSENCE_S = 600; // the vendor's documents say 4 to 10 min
const LONGEST_ABSENCE_S = 1200; // the alert AviUpgradeControllersAway has the same number

/**
 * How long the Controllers have been away, and how an operator should take it.
 * `what`: as a heading has it; `advice`: follows it.
 * @typedef {{level: "expected" | "late" | "too-late", what: string, advice: string, since: string}} Absence
 * @param {UpgradeStatus} status
 * @param {ReadStatus | null} health of the read of units
 * @param {number} now
 * @returns {Absence | null} null: they are not away
 */
export function absenceOf({ away_since: since, held_until: until }, health, now) {
  if (since === null) return null;
  const seconds = Math.max(0, now - since);
  const level = seconds < EXPECTED_ABSENCE_S ? "expected" : seconds < LONGEST_ABSENCE_S ? "late" : "too-late";
  const what = {
    expected: "The Controllers are rebooting",
    late: "The Controllers are rebooting, for longer than expected",
    "too-late": "The Controllers have not come back",
  }[level];
  const advice = level === "too-late" ? ": look at their consoles" : "";
  const seen = isKnown(health?.seen_at) ? ` What you see is of ${clockTime(health.seen_at, now)}` : "";
  const isHeld = seen && until !== null && level !== "expected";
  const held = isHeld ? `, and stays on show until ${clockTime(until, now)}` : "";
  const duration = roughDuration(seconds);
  return { level, what, advice, since: `Away for ${duration} (expected up to 10 min).${seen}${held}${seen && "."}` };
}

/** How it looks that the Controllers are away. */
export const ABSENCE_STANDINGS = /** @type {const} */ ({ expected: "active", late: "stalled", "too-late": "failed" });
