/**
 * Numbers and times in words. Pure: `now` is an argument, times are Unix seconds, null is not known and reads "–".
 */

export const UNKNOWN = "–";

const UNITS = [
  [86400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];

/** 8 s, 3 min, 1 h 05 min, 2 d 3 h. @param {number | null} seconds */
export function duration(seconds) {
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

/** In one unit, for ranges and what need not be exact: 40 s, 3 min, 2 h. @param {number | null} seconds */
export function rough(seconds) {
  if (!isKnown(seconds)) return UNKNOWN;
  const [size, unit] = unitOf(seconds);
  return `${Math.round(Math.max(0, seconds) / size)} ${unit}`;
}

/** 3–8 min; 20 s – 2 min: in the unit of the later, where that says enough of the earlier. */
export function range(from, to) {
  const [size, unit] = unitOf(to);
  const [low, high] = [Math.round(from / size), Math.round(to / size)];
  if (low === 0 && size > 1 && from > 0) return `${rough(from)} – ${rough(to)}`;
  return low === high ? `${high} ${unit}` : `${low}–${high} ${unit}`;
}

function unitOf(seconds) {
  return UNITS.find(([size]) => seconds >= 1.5 * size) ?? UNITS.at(-1);
}

/** 37%; rounded down, so that 100% is all of it. @param {number | null} ratio */
export function percent(ratio) {
  return isKnown(ratio) ? `${Math.floor(Math.min(1, Math.max(0, ratio)) * 100 + 1e-9)}%` : UNKNOWN;
}

/** 3.2%/min. @param {number | null} ratioPerMinute */
export function pace(ratioPerMinute) {
  if (!isKnown(ratioPerMinute)) return UNKNOWN;
  const value = ratioPerMinute * 100;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)}%/min`;
}

/** 2 of 6. */
export function tasks(image) {
  if (!isKnown(image.tasks_completed) && !isKnown(image.tasks)) return UNKNOWN;
  return `${image.tasks_completed ?? "?"} of ${image.tasks ?? "?"}`;
}

const COUNT = new Intl.NumberFormat("en-US");

/** 1,234. */
export function count(number) {
  return COUNT.format(number);
}

/** 1 image, 2 images. */
export function many(number, one, more = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : more}`;
}

const TIME = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const DAY = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "2-digit" });

/** The local time, with the day when it is another one than today. */
export function clockTime(at, now = Date.now() / 1000) {
  if (!isTime(at)) return UNKNOWN;
  const moment = new Date(at * 1000);
  const sameDay = moment.toDateString() === new Date(now * 1000).toDateString();
  return sameDay ? TIME.format(moment) : `${DAY.format(moment)}, ${TIME.format(moment)}`;
}

/** 2026-11-25 08:16:19 UTC. */
export function utc(at) {
  return isTime(at) ? `${new Date(at * 1000).toISOString().slice(0, 19).replace("T", " ")} UTC` : "";
}

/** Cut foreign text that only has to be recognised. */
export function clip(text, most) {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

export function isKnown(value) {
  return value !== null && value !== undefined;
}

/** A number that Date can show. */
export function isTime(at) {
  return Number.isFinite(at) && Math.abs(at) < 8.64e12;
}

function pad(number) {
  return String(number).padStart(2, "0");
}
