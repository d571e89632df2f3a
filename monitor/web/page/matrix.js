/** The table of nodes and tasks: the state and duration of each event, with its message on demand. */

import { expandableText, externalText, h } from "./dom.js";
import { formatDuration, truncate } from "./format.js";

/** @type {Record<EventState, string>} */
const GLYPHS = { pending: "○", running: "▶", succeeded: "✓", failed: "✕" };

/**
 * @param {NodePage} detail
 * @param {Set<string>} open which messages are open: kept by the caller, as the table is rebuilt when events change
 */
export function matrix({ tasks, nodes, events }, open) {
  /** @type {Map<string, NodeEvent[]>} */
  const byCell = new Map();
  for (const event of events) {
    const key = cellKey(event.node, event.task);
    byCell.set(key, [...(byCell.get(key) ?? []), event]);
  }
  const head = h(
    "tr",
    {},
    h("th", { scope: "col", text: "Node" }),
    ...tasks.map((task, index) => columnHead(task, index)),
  );
  const rows = nodes.map((node) => {
    const keys = tasks.map((task) => cellKey(node, task));
    const cells = keys.map((key) => cell(byCell.get(key) ?? [], key, open));
    return h("tr", { "data-node": node }, h("th", { scope: "row" }, externalText(node)), ...cells);
  });
  return h(
    "table",
    { class: "matrix" },
    h("caption", { class: "visually-hidden", text: "State of each task on each node" }),
    h("thead", {}, head),
    h("tbody", {}, ...rows),
  );
}

/** @param {string} node @param {string} task */
function cellKey(node, task) {
  return `${node}\n${task}`;
}

/** @param {string} task @param {number} index */
function columnHead(task, index) {
  const number = h("span", { class: "muted", text: `${index + 1} ` });
  const words = truncate(task, 120).split(/(?<=[a-z])(?=[A-Z])/); // where it may break
  return h("th", { scope: "col" }, number, h("bdi", {}, ...words.flatMap((word) => [word, h("wbr")])));
}

/** @param {NodeEvent[]} events @param {string} key @param {Set<string>} open */
function cell(events, key, open) {
  const last = events.at(-1);
  if (!last)
    return h(
      "td",
      { "data-state": "none" },
      h("span", { class: "muted", "aria-hidden": "true", text: "·" }),
      h("span", { class: "visually-hidden", text: "not started" }),
    );
  const shown = events.map((event, index) => eventElement(event, `${key}\n${index}`, open));
  return h("td", { "data-state": last.state }, ...shown);
}

/** @param {NodeEvent} event @param {string} key @param {Set<string>} open */
function eventElement(event, key, open) {
  const time = event.duration_seconds === null ? "" : ` ${formatDuration(event.duration_seconds)}`;
  const line = h(
    "div",
    { class: "cell", "data-state": event.state },
    h("span", { class: "glyph", "aria-hidden": "true", text: GLYPHS[event.state] }),
    " ",
    h("span", { class: "label", text: event.state }),
    h("span", { class: "duration", text: time }),
  );
  const status = event.status === "SYSERR_SUCCESS" ? "" : event.status;
  const texts = [event.message, status].filter(Boolean);
  return h("div", {}, line, texts.length ? messageElement(texts, key, open) : null);
}

/** @param {string[]} texts @param {string} key @param {Set<string>} open */
function messageElement(texts, key, open) {
  const details = h(
    "details",
    { open: open.has(key) },
    h("summary", { text: "message" }),
    ...texts.map((text) => h("p", {}, expandableText(text, 400))),
  );
  details.addEventListener("toggle", () => (details.open ? open.add(key) : open.delete(key)));
  return details;
}
