/** Which images are shown, and in which order. Pure; fast enough for thousands of images at each key press. */

import { isActive } from "./status.js";

/** @import { Entry, Fleet } from "./fleet.js" */

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

/** The group of each standing. The order is the daemon's `standing_rank`. */
const GROUP_OF = new Map(
  GROUPS.flatMap((group) => group.standings.map((standing) => /** @type {const} */ ([standing, group]))),
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

/** @type {WeakMap<ImageStatus, string>} */
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

/** @param {string} state of STATE_CHOICES @param {ImageStatus} image @param {Standing} standing */
function hasState(state, image, standing) {
  if (state === "failed") return image.state === "failed";
  return state === "active" ? isActive(image) : standing === state;
}

/**
 * The images that match, sorted and in groups.
 * @param {Fleet} fleet
 * @param {Filter} filter
 * @returns {GroupedEntries[]} without empty groups
 */
export function groupImages(fleet, filter) {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [];
  for (const entry of fleet.entries.values()) {
    const { standing, standing_rank: rank } = entry.image;
    const group = GROUP_OF.get(standing);
    if (group && matches(entry, standing, filter, words))
      found.push({ entry, standing, group, rank, at: sortTime(entry.image, standing) });
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
 * @param {ImageStatus} image
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
 */
export function countStandings(fleet) {
  const counts = { active: 0, failed: 0, stalled: 0, total: fleet.entries.size };
  for (const { image } of fleet.entries.values()) {
    if (isActive(image)) counts.active += 1;
    if (image.standing === "failed") counts.failed += 1;
    if (image.standing === "stalled") counts.stalled += 1;
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
