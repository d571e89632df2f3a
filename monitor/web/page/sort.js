/** Which images are shown, and in which order. Pure; made for thousands of images at every key that is pressed. */

import { isActive, standing } from "./status.js";

/** The groups of the list, in their order. `of`: the standings in it, which are its order within. */
export const GROUPS = [
  { id: "attention", title: "Failed or stalled", of: ["failed", "stalled"] },
  { id: "active", title: "Under way", of: ["active"] },
  { id: "unknown", title: "State not known", of: ["unknown"] },
  { id: "acknowledged", title: "Failed, acknowledged", of: ["acknowledged"] },
  { id: "completed", title: "Completed", of: ["completed"] },
];

const RANK = new Map(GROUPS.flatMap((group) => group.of).map((each, rank) => [each, rank]));
const GROUP = new Map(GROUPS.flatMap((group) => group.of.map((each) => [each, group])));

/** The choices of the filter by state. */
export const STATES = [
  ["failed", "failed"],
  ["stalled", "stalled"],
  ["active", "under way"],
  ["unknown", "not known"],
  ["completed", "completed"],
];

/** @typedef {{text: string, controller: string, state: string, version: string}} Filter  "" is any */

const texts = new WeakMap();

/** What the search looks into, made once an image. */
function searched(entry) {
  let text = texts.get(entry.image);
  if (text === undefined) {
    const { name, uuid, version, patch, annotations } = entry.image;
    const notes = Object.entries(annotations ?? {}).map(([key, value]) => `${key}=${value}`);
    text = [name, uuid, entry.controller, version, patch, ...notes].join("\n").toLowerCase();
    texts.set(entry.image, text);
  }
  return text;
}

/** Make what the search looks into of these, before somebody types. @param {Iterable<object>} entries */
export function warm(entries) {
  for (const entry of entries) searched(entry);
}

function fits(entry, was, filter, words) {
  if (filter.controller && entry.controller !== filter.controller) return false;
  if (filter.version && entry.image.version !== filter.version) return false;
  if (filter.state && !isOf(filter.state, entry.image, was)) return false;
  return words.every((word) => searched(entry).includes(word));
}

function isOf(state, image, was) {
  if (state === "failed") return image.state === "failed";
  return state === "active" ? isActive(image) : was === state;
}

/**
 * The images that fit, in groups.
 * @param {import("./fleet.js").Fleet} fleet
 * @param {Filter} filter
 * @param {number} now
 * @returns {{group: object, entries: {entry: object, standing: string}[]}[]} groups that have any
 */
export function arrange(fleet, filter, now) {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [];
  for (const entry of fleet.entries.values()) {
    const was = standing(entry.image, fleet.controllers.get(entry.controller), now);
    if (fits(entry, was, filter, words))
      found.push({ entry, standing: was, rank: RANK.get(was), at: moment(entry.image, was) });
  }
  found.sort(compare);
  return inGroups(found);
}

/** What is sorted by, descending: the newest first; of the stalled, the one that stands longest. */
function moment(image, was) {
  if (was === "stalled") return -(image.changed_at ?? 0);
  if (was === "active" || was === "unknown") return image.first_seen_at ?? 0; // so that rows stay where they are
  return image.ended_at ?? image.changed_at ?? 0;
}

function compare(a, b) {
  return a.rank - b.rank || b.at - a.at || (a.entry.key < b.entry.key ? -1 : 1);
}

function inGroups(found) {
  const groups = [];
  for (const each of found) {
    const group = GROUP.get(each.standing);
    if (groups.at(-1)?.group !== group) groups.push({ group, entries: [] });
    groups.at(-1).entries.push(each);
  }
  return groups;
}

/** How many there are of each kind, of all images. */
export function tally(fleet, now) {
  const counts = { active: 0, failed: 0, stalled: 0, total: fleet.entries.size };
  for (const { image, controller } of fleet.entries.values()) {
    const was = standing(image, fleet.controllers.get(controller), now);
    if (isActive(image)) counts.active += 1;
    if (was === "failed") counts.failed += 1;
    if (was === "stalled") counts.stalled += 1;
  }
  return counts;
}

/** The values that there are to filter by. */
export function choices(fleet) {
  const versions = new Set();
  for (const { image } of fleet.entries.values()) if (image.version) versions.add(image.version);
  const byNumber = new Intl.Collator("en", { numeric: true }).compare;
  return {
    controllers: [...fleet.controllers.keys()].sort(byNumber),
    versions: [...versions].sort(byNumber).reverse(),
  };
}
