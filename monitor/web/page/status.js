/**
 * What an image's and a controller's facts mean to the eye: stalled or not, when it ends, how a controller is. Pure.
 * Never invents: of a controller that cannot be read, everything is as of its last good poll.
 */

import { clockTime, duration, isKnown, range, rough, UNKNOWN } from "./format.js";

const STALLED_AFTER_S = 60; // a step of 1 % of a slow upload takes less

/** @typedef {"failed" | "stalled" | "active" | "unknown" | "acknowledged" | "completed"} Standing */

export function isActive(image) {
  return image.state === "started" || image.state === "in_progress";
}

/** Seconds without a move of an image that should move; 0 when it need not. */
export function stillFor(image, health, now) {
  if (!isActive(image) || !isKnown(image.changed_at) || !isKnown(now)) return 0;
  const asOf = health && !health.up && isKnown(health.seen_at) ? health.seen_at : now;
  return Math.max(0, asOf - image.changed_at);
}

/** @returns {Standing} what the image is to somebody who has to act */
export function standing(image, health, now) {
  if (image.state === "failed") return image.acknowledged ? "acknowledged" : "failed";
  if (image.state === "completed") return "completed";
  if (!isActive(image)) return "unknown";
  return stillFor(image, health, now) > STALLED_AFTER_S && !image.acknowledged ? "stalled" : "active";
}

/** The state in words: as the Controller says, and *stalled* as we do. */
export function stateWord(image, health, now) {
  if (stillFor(image, health, now) > STALLED_AFTER_S) return "stalled";
  return image.state === "in_progress" ? "in progress" : image.state;
}

/**
 * When it ends, or how long it took.
 * @returns {{main: string, range: string, at: number | null, why: string}} `range`: how uncertain it is, or ""
 */
export function ending(image, health, now) {
  const nothing = { main: UNKNOWN, range: "", at: null, why: "" };
  if (!isActive(image)) {
    if (!isKnown(image.duration_seconds)) return nothing;
    return {
      ...nothing,
      main: `${image.state === "failed" ? "failed after" : "took"} ${duration(image.duration_seconds)}`,
    };
  }
  const eta = image.eta;
  if (!eta || !isKnown(eta.ends_at) || health?.stale) return nothing;
  const why = eta.why ?? "";
  if (isKnown(eta.latest) && now > eta.latest) {
    return { main: "overdue", range: `was to end by ${clockTime(eta.latest, now)}`, at: eta.latest, why };
  }
  const left = eta.ends_at - now;
  const uncertain = isKnown(eta.earliest) && isKnown(eta.latest);
  return {
    main: left > 0 ? `in ${duration(coarse(left))}` : "any moment",
    range: uncertain ? range(Math.max(0, eta.earliest - now), eta.latest - now) : "",
    at: eta.ends_at,
    why,
  };
}

/** Not more exact than it is: an ETA of many minutes has no seconds. */
function coarse(seconds) {
  return seconds < 60 ? seconds : Math.round(seconds / 10) * 10;
}

/**
 * How a controller is.
 * @returns {{kind: "suspended" | "stale" | "down" | "new" | "upgrading" | "up", word: string}} worst first
 */
export function condition(health) {
  if (health.auth_suspended) return { kind: "suspended", word: "log-in suspended" };
  if (health.stale) return { kind: "stale", word: "stale" };
  if (!health.up && !isKnown(health.seen_at) && !health.reason) return { kind: "new", word: "not polled yet" };
  if (!health.up) return { kind: "down", word: "last poll failed" };
  if (health.upgrade_in_progress) return { kind: "upgrading", word: "being upgraded" };
  return { kind: "up", word: "up" };
}

/** What of a controller's images has to be said: "" while it is read well. */
export function staleness(health, now) {
  if (!health || health.up) return "";
  if (!isKnown(health.seen_at)) return "never read yet";
  return `as of ${clockTime(health.seen_at, now)}, ${rough(now - health.seen_at)} ago`;
}
