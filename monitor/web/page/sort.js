/** Which images are shown, and in which order. Pure; fast enough for thousands of images at each key press. */

import { isActive, standingOf } from "./status.js";

/** @import { Entry, Fleet } from "./fleet.js" */
/** @import { Standing } from "./status.js" */

/** @typedef {{id: string, title: string, standings: Standing[]}} Group  its images are in the order of `standings` */
/** @typedef {{entry: Entry, standing: Standing}} RankedEntry */
/** @typedef {{group: Group, entries: RankedEntry[]}} GroupedEntries */
/** @typedef {{text: string, controller: string, state: string, version: string}} Filter  "" matches all */

/**
 * The groups of the list, in order.
 * @type {Group[]}
 */
const GROUPS = [
  { id: "attention", title: "Failed or stalled", standings: ["failed", "stalled"] },
  { id: "active", title: "In progress", standings: ["active"] },
  { id: "unknown", title: "Unknown state", standings: ["unknown"] },
  { id: "acknowledged", title: "Failed, acknowledged", standings: ["acknowledged"] },
  { id: "completed", title: "Completed", standings: ["completed"] },
];

/** By standing: its group, and its place in the order of all images. */
const PLACES = new Map(
  GROUPS.flatMap((group) => group.standings.map((standing) => /** @type {const} */ ([standing, group]))).map(
    ([standing, group], rank) => [standing, { group, rank }],
  ),
);

/**
 * The choices of the filter by state: the value, and its label.
 * @type {[string, string][]}
 */
export const STATE_CHOICES = [
  ["failed", "failed"],
  ["stalled", "stalled"],
  ["active", "in progress"],
  ["unknown", "unknown"],
  ["completed", "completed"],
];

/** @type {WeakMap<LiveImage, string>} */
const searchTexts = new WeakMap();

/** The text that the search box searches: built once per image. @param {Entry} entry */
function searchText(entry) {
  let text = searchTexts.get(entry.image);
  if (text === undefined) {
    const { name, uuid, version, patch, annotations } = entry.image;
    const pairs = Object.entries(annotations).map(([key, value]) => `${key}=${value}`);
    text = [name, uuid, entry.controller, version, patch, ...pairs].join("\n").toLowerCase();
    searchTexts.set(entry.image, text);
  }
  return text;
}

/** Build the search texts ahead of the first key press. @param {Iterable<Entry>} entries */
export function prepareSearch(entries) {
  for (const entry of entries) searchText(entry);
}

/** @param {Entry} entry @param {Standing} standing @param {Filter} filter @param {string[]} words */
function matches(entry, standing, filter, words) {
  if (filter.controller && entry.controller !== filter.controller) return false;
  if (filter.version && entry.image.version !== filter.version) return false;
  if (filter.state && !hasState(filter.state, entry.image, standing)) return false;
  return words.every((word) => searchText(entry).includes(word));
}

/** @param {string} state of STATE_CHOICES @param {LiveImage} image @param {Standing} standing */
function hasState(state, image, standing) {
  if (state === "failed") return image.state === "failed";
  return state === "active" ? isActive(image) : standing === state;
}

/**
 * The images that match, sorted and in groups.
 * @param {Fleet} fleet
 * @param {Filter} filter
 * @param {number} now
 * @returns {GroupedEntries[]} without empty groups
 */
export function groupImages(fleet, filter, now) {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [];
  for (const entry of fleet.entries.values()) {
    const standing = standingOf(entry.image, fleet.controllers.get(entry.controller), now);
    const place = PLACES.get(standing);
    if (place && matches(entry, standing, filter, words))
      found.push({ entry, standing, ...place, at: sortTime(entry.image, standing) });
  }
  found.sort((a, b) => a.rank - b.rank || b.at - a.at || (a.entry.key < b.entry.key ? -1 : 1));
  /** @type {GroupedEntries[]} */
  const groups = [];
  for (const { group, entry, standing } of found) {
    let last = groups.at(-1);
    if (last?.group !== group) groups.push((last = { group, entries: [] }));
    last.entries.push({ entry, standing });
  }
  return groups;
}

/**
 * Sorted by this, descending: the newest first, but of stalled images the one that is stalled the longest.
 * @param {LiveImage} image
 * @param {Standing} standing
 */
function sortTime(image, standing) {
  if (standing === "stalled") return -image.changed_at;
  if (standing === "active" || standing === "unknown") return image.first_seen_at; // so that rows do not jump
  return image.ended_at ?? image.changed_at;
}

/**
 * How many images are active, failed and stalled, whatever the filter.
 * @param {Fleet} fleet
 * @param {number} now
 */
export function countStandings(fleet, now) {
  const counts = { active: 0, failed: 0, stalled: 0, total: fleet.entries.size };
  for (const { image, controller } of fleet.entries.values()) {
    const standing = standingOf(image, fleet.controllers.get(controller), now);
    if (isActive(image)) counts.active += 1;
    if (standing === "failed") counts.failed += 1;
    if (standing === "stalled") counts.stalled += 1;
  }
  return counts;
}

/** The controllers and versions to filter by. @param {Fleet} fleet */
export function filterChoices(fleet) {
  /** @type {Set<string>} */
  const versions = new Set();
  for (const { image } of fleet.entries.values()) if (image.version) versions.add(image.version);
  const byNumber = new Intl.Collator("en", { numeric: true }).compare;
  return {
    controllers: [...fleet.controllers.keys()].sort(byNumber),
    versions: [...versions].sort(byNumber).reverse(),
  };
}
