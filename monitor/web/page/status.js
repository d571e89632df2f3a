/**
 * The status of images and controllers in words, from the daemon's facts. Pure.
 *
 * The daemon decides the standing of an image and its place in the order; the page decides the status of a controller.
 * While a controller cannot be polled, everything about it is as of its last good poll.
 */

import { clockTime, durationRange, formatDuration, isKnown, roughDuration, UNKNOWN } from "./format.js";

/** @typedef {"suspended" | "stale" | "down" | "new" | "upgrading" | "up"} ControllerState */

/** The sign of each standing, which needs no colour. @type {Record<Standing, string>} */
export const GLYPHS = { failed: "✕", stalled: "‖", active: "▶", unknown: "?", acknowledged: "✕", completed: "✓" };

/** @param {ImageStatus} image */
export function isActive(image) {
  return image.state === "started" || image.state === "in_progress";
}

/** Whether the list offers to acknowledge it. @param {Standing} standing */
export function needsAttention(standing) {
  return standing === "failed" || standing === "stalled";
}

/** Whether the view of the image offers to acknowledge it, or to remove that. @param {ImageStatus} image */
export function canAcknowledge(image) {
  return image.acknowledged || image.state === "failed" || isActive(image);
}

/** The state as text: the Controller's, or *stalled*. @param {ImageStatus} image */
export function stateText(image) {
  if (image.standing === "stalled") return "stalled";
  return image.state === "in_progress" ? "in progress" : image.state;
}

/**
 * "no move for 3 min"; "" while the image is not stalled.
 * @param {ImageStatus} image
 * @param {ControllerHealth | undefined} health of its controller
 * @param {number} now
 */
export function idleText(image, health, now) {
  if (image.standing !== "stalled") return "";
  const asOf = health && !health.up && isKnown(health.seen_at) ? health.seen_at : now;
  return `no move for ${roughDuration(Math.max(0, asOf - image.changed_at))}`;
}

/**
 * When the upload ends, or how long it took.
 * @typedef {{text: string, range: string, at: number | null, why: string}} End `range`: the uncertainty, or ""
 * @param {ImageStatus} image
 * @param {ControllerHealth | undefined} health
 * @param {number} now
 * @returns {End}
 */
export function endOf(image, health, now) {
  const unknown = { text: UNKNOWN, range: "", at: null, why: "" };
  if (!isActive(image)) {
    if (!isKnown(image.duration_seconds)) return unknown;
    const verb = image.state === "failed" ? "failed after" : "took";
    return { ...unknown, text: `${verb} ${formatDuration(image.duration_seconds)}` };
  }
  return image.eta && !health?.stale ? endOfEstimate(image.eta, now) : unknown;
}

/** @param {Eta} eta @param {number} now @returns {End} */
export function endOfEstimate(eta, now) {
  if (now > eta.latest) {
    return { text: "overdue", range: `was to end by ${clockTime(eta.latest, now)}`, at: eta.latest, why: eta.why };
  }
  const left = eta.ends_at - now;
  return {
    text: left > 0 ? `in ${formatDuration(roundRemaining(left))}` : "any moment",
    range: durationRange(Math.max(0, eta.earliest - now), eta.latest - now),
    at: eta.ends_at,
    why: eta.why,
  };
}

/** No more exact than the estimate: to 10 s where it is a minute or more. @param {number} seconds */
function roundRemaining(seconds) {
  return seconds < 60 ? seconds : Math.round(seconds / 10) * 10;
}

/** The statuses of a controller, in the order in which the page lists them. @type {ControllerState[]} */
export const CONTROLLER_STATUSES = ["suspended", "stale", "down", "new", "upgrading", "up"];

const UNHEALTHY = new Set(/** @type {ControllerState[]} */ (["suspended", "stale", "down"]));

/** @param {ControllerState} status */
export function isUnhealthy(status) {
  return UNHEALTHY.has(status);
}

/** @param {ControllerHealth} health @returns {{status: ControllerState, label: string}} */
export function controllerStatus(health) {
  if (health.auth_suspended) return { status: "suspended", label: "log-in suspended" };
  if (health.stale) return { status: "stale", label: "stale" };
  if (!health.up && !isKnown(health.seen_at) && !health.reason) return { status: "new", label: "not polled yet" };
  if (health.upgrade_in_progress) return { status: "upgrading", label: "being upgraded" }; // its polls fail meanwhile
  if (!health.up) return { status: "down", label: "last poll failed" };
  return { status: "up", label: "up" };
}

/**
 * How old a controller's images are; "" while it is up.
 * @param {ControllerHealth | undefined} health
 * @param {number} now
 */
export function ageText(health, now) {
  if (!health || health.up) return "";
  if (!isKnown(health.seen_at)) return "never polled successfully";
  return `as of ${clockTime(health.seen_at, now)}, ${roughDuration(now - health.seen_at)} ago`;
}
