/** The Service Engines of one group, those that failed first; and the notes that the Controller wrote of it. */

import { externalText, expandableText, h, timeElement } from "./dom.js";
import { formatDuration, plural, truncate } from "./format.js";

const MAX_ROWS = 60; // more on demand

/**
 * The states in the order of the table: the text, and a sign that needs no colour.
 * @type {Record<string, {text: string, glyph: string, standing: Standing, rank: number}>}
 */
const STATES = {
  failed: { text: "failed", glyph: "✕", standing: "failed", rank: 0 },
  suspended: { text: "suspended", glyph: "‖", standing: "failed", rank: 1 },
  in_progress: { text: "in progress", glyph: "▶", standing: "active", rank: 2 },
  not_started: { text: "not started", glyph: "○", standing: "unknown", rank: 3 },
  skipped: { text: "skipped", glyph: "»", standing: "unknown", rank: 4 },
  completed: { text: "done", glyph: "✓", standing: "completed", rank: 5 },
};

/** @param {Engine[]} engines */
export function engineTable(engines) {
  if (!engines.length) return h("p", { class: "muted", text: "The Controller lists no Service Engines of this group." });
  const sorted = [...engines].sort((a, b) => (STATES[a.state]?.rank ?? 9) - (STATES[b.state]?.rank ?? 9));
  const timed = engines.some(({ since, took_seconds: took }) => since !== null || took !== null);
  const titles = ["Service Engine", "State", ...(timed ? ["In progress since", "Took"] : [])];
  const head = titles.map((title) => h("th", { scope: "col", text: title }));
  /** @param {Engine} engine */
  const row = (engine) => engineRow(engine, { timed });
  const body = h("tbody", {}, ...sorted.slice(0, MAX_ROWS).map(row));
  const rest = sorted.slice(MAX_ROWS);
  const text = `Show ${plural(rest.length, "more Service Engine")}`;
  const more = h("button", { type: "button", class: "small", text });
  more.addEventListener("click", () => {
    body.append(...rest.map(row));
    more.remove();
  });
  const table = h(
    "table",
    { class: "plain stacked" },
    h("caption", { class: "visually-hidden", text: "Service Engines" }),
    h("thead", {}, h("tr", {}, ...head)),
    body,
  );
  return h("div", { class: "stack" }, table, rest.length ? more : null);
}

/** @param {Engine} engine @param {{timed: boolean}} how `timed`: of any of them a time is known */
function engineRow({ uuid, name, state, since, took_seconds: took }, { timed }) {
  const { text, glyph, standing } = STATES[state] ?? { text: state, glyph: "?", standing: "unknown" };
  const badge = h("span", { class: "badge", "data-state": standing });
  badge.append(h("span", { class: "glyph", "aria-hidden": "true", text: glyph }), " ", externalText(text));
  return h(
    "tr",
    { "data-engine": uuid, "data-state": state },
    h("td", {}, externalText(truncate(name || uuid, 200))),
    h("td", {}, badge),
    timed ? h("td", {}, since === null ? "" : timeElement(since)) : null,
    timed ? h("td", {}, took === null ? "" : formatDuration(took)) : null,
  );
}

/** @param {string[]} notes as the Controller wrote them, each with its time */
export function noteList(notes) {
  const items = [...notes].reverse().map((note) => h("li", {}, expandableText(note, 300)));
  const title = h("p", { class: "muted", text: "Notes of the Controller, the newest first, by its clock" });
  return h("div", {}, title, h("ul", { class: "notes", role: "list" }, ...items));
}
