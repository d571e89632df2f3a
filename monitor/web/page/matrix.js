/** What each node did for each task: a table of states and durations, with the messages on demand. */

import { foreign, h, longText } from "./dom.js";
import { clip, duration } from "./format.js";

const GLYPHS = { pending: "○", running: "▶", succeeded: "✓", failed: "✕" };

/**
 * @param {{tasks: string[], nodes: string[], events: object[]}} detail
 * @param {Set<string>} open which messages are open: kept by the caller, as the table is made anew when events changed
 */
export function matrix({ tasks, nodes, events }, open) {
  const cells = new Map();
  for (const event of events) {
    const key = cellKey(event.node, event.task);
    cells.set(key, [...(cells.get(key) ?? []), event]);
  }
  const head = h(
    "tr",
    {},
    h("th", { scope: "col", text: "Node" }),
    ...tasks.map((task, index) => columnHead(task, index)),
  );
  const rows = nodes.map((node) => {
    const own = tasks.map((task) => cell(cells.get(cellKey(node, task)) ?? [], cellKey(node, task), open));
    return h("tr", { "data-node": node }, h("th", { scope: "row" }, foreign(node)), ...own);
  });
  return h(
    "table",
    { class: "matrix" },
    h("caption", { class: "unseen", text: "State of each task on each node" }),
    h("thead", {}, head),
    h("tbody", {}, ...rows),
  );
}

function cellKey(node, task) {
  return `${node}\n${task}`;
}

function columnHead(task, index) {
  return h("th", { scope: "col" }, h("span", { class: "muted", text: `${index + 1} ` }), foreign(clip(task, 120)));
}

function cell(events, key, open) {
  if (!events.length)
    return h(
      "td",
      { "data-state": "none" },
      h("span", { class: "muted", "aria-hidden": "true", text: "·" }),
      h("span", { class: "unseen", text: "not begun" }),
    );
  return h(
    "td",
    { "data-state": events.at(-1).state },
    ...events.map((event, index) => stateOf(event, `${key}\n${index}`, open)),
  );
}

function stateOf(event, key, open) {
  const glyph = h("span", { class: "glyph", "aria-hidden": "true", text: GLYPHS[event.state] ?? "?" });
  const time = event.duration_seconds === null ? "" : ` ${duration(event.duration_seconds)}`;
  const line = h(
    "div",
    { class: "cell", "data-state": event.state },
    glyph,
    " ",
    h("span", { class: "word", text: event.state }),
    h("span", { class: "took", text: time }),
  );
  const words = [event.message, event.status && event.status !== "SYSERR_SUCCESS" ? event.status : ""].filter(Boolean);
  if (!words.length) return h("div", {}, line);
  return h("div", {}, line, message(words, key, open));
}

function message(words, key, open) {
  const details = h(
    "details",
    { open: open.has(key) },
    h("summary", { text: "message" }),
    ...words.map((word) => h("p", {}, longText(word, 400))),
  );
  details.addEventListener("toggle", () => (details.open ? open.add(key) : open.delete(key)));
  return details;
}
