/** Numbers and times as text. Pure: `now` is an argument, times are Unix seconds; null is not known and reads "–". */

export const UNKNOWN = "–";

/** @type {[number, string][]} */
const UNITS = [
  [86400, "d"],
  [3600, "h"],
  [60, "min"],
];

/** 8 s, 3 min, 1 h 05 min, 2 d 3 h. @param {number | null | undefined} seconds */
export function formatDuration(seconds) {
  if (!isKnown(seconds)) return UNKNOWN;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 600) return whole % 60 ? `${Math.floor(whole / 60)} min ${pad(whole % 60)} s` : `${whole / 60} min`;
  if (whole < 3600) return `${Math.round(whole / 60)} min`;
  const minutes = Math.round(whole / 60);
  if (whole < 86400)
    return minutes % 60 ? `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min` : `${minutes / 60} h`;
  const hours = Math.round(whole / 3600);
  return hours % 24 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${hours / 24} d`;
}

/** In one unit, where that is exact enough: 40 s, 3 min, 2 h. @param {number | null | undefined} seconds */
export function roughDuration(seconds) {
  if (!isKnown(seconds)) return UNKNOWN;
  const [size, unit] = unitOf(seconds);
  return `${Math.round(Math.max(0, seconds) / size)} ${unit}`;
}

/**
 * 3–8 min; 20 s – 2 min: in the unit of the later, unless the earlier would be 0 in it.
 * @param {number} from
 * @param {number} to
 */
export function durationRange(from, to) {
  const [size, unit] = unitOf(to);
  const [low, high] = [Math.round(from / size), Math.round(to / size)];
  if (low === 0 && size > 1 && from > 0) return `${roughDuration(from)} – ${roughDuration(to)}`;
  return low === high ? `${high} ${unit}` : `${low}–${high} ${unit}`;
}

/** @param {number} seconds @returns {[number, string]} the unit's size in seconds, and its symbol */
function unitOf(seconds) {
  return UNITS.find(([size]) => seconds >= 1.5 * size) ?? [1, "s"];
}

/** 37%; rounded down, so that only a complete upload shows 100%. @param {number | null | undefined} ratio */
export function formatPercent(ratio) {
  return isKnown(ratio) ? `${Math.floor(Math.min(1, Math.max(0, ratio)) * 100 + 1e-9)}%` : UNKNOWN;
}

/** 3.2%/min. @param {number | null} ratioPerMinute */
export function formatRate(ratioPerMinute) {
  if (!isKnown(ratioPerMinute)) return UNKNOWN;
  const value = ratioPerMinute * 100;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)}%/min`;
}

/** 2 of 6. @param {{tasks: number | null, tasks_completed: number | null}} of an image or a unit */
export function formatTasks({ tasks, tasks_completed: completed }) {
  if (!isKnown(completed) && !isKnown(tasks)) return UNKNOWN;
  return `${completed ?? "?"} of ${tasks ?? "?"}`;
}

const COUNT = new Intl.NumberFormat("en-US");

/** 1,234. @param {number} number */
export function formatCount(number) {
  return COUNT.format(number);
}

/** 1 image, 2 images. @param {number} number @param {string} one */
export function plural(number, one) {
  return `${formatCount(number)} ${number === 1 ? one : `${one}s`}`;
}

const TIME = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const DAY = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "2-digit" });

/** The local time, with the date unless it is today's. @param {number | null | undefined} at @param {number} [now] */
export function clockTime(at, now = Date.now() / 1000) {
  if (!isTime(at)) return UNKNOWN;
  const moment = new Date(at * 1000);
  const sameDay = moment.toDateString() === new Date(now * 1000).toDateString();
  return sameDay ? TIME.format(moment) : `${DAY.format(moment)}, ${TIME.format(moment)}`;
}

/** 2026-11-25 08:16:19 UTC. @param {number} at */
export function utcTime(at) {
  return isTime(at) ? `${new Date(at * 1000).toISOString().slice(0, 19).replace("T", " ")} UTC` : "";
}

/** @param {string} text @param {number} max characters */
export function truncate(text, max) {
  return text.length > max ? `${text.slice(0, max)}…` : text;
}

/**
 * @template T
 * @param {T | null | undefined} value
 * @returns {value is T}
 */
export function isKnown(value) {
  return value !== null && value !== undefined;
}

/** Whether Date can show it. @param {number | null | undefined} at @returns {at is number} */
export function isTime(at) {
  return isKnown(at) && Number.isFinite(at) && Math.abs(at) < 8.64e12;
}

/** @param {number} number */
function pad(number) {
  return String(number).padStart(2, "0");
}
