/** The tasks of each node over time: as a drawing, and as text for screen readers. */

import { externalText, h, svg, timeElement } from "./dom.js";
import { axisTicks, layoutTimeline } from "./spans.js";
import { clockTime, formatDuration, truncate } from "./format.js";

/** @import { Layout, Span } from "./spans.js" */

// in pixels
const LANE = 22;
const GAP = 8;
const AXIS = 22;
const DIGIT = 7; // about the width of one

/**
 * @param {NodePage} detail
 * @param {number} width in pixels
 */
export function timeline(detail, width) {
  const layout = layoutTimeline(detail);
  if (!layout) {
    const text = "The Controller reports no times for these tasks, so there is no timeline.";
    return h("p", { class: "muted", text });
  }
  return h("div", {}, drawing(layout, detail.tasks, width), legend(detail.tasks), asText(detail));
}

/** @param {Layout} layout @param {string[]} tasks @param {number} width */
function drawing({ rows, length }, tasks, width) {
  const labelWidth = Math.min(150, Math.max(60, ...rows.map(({ node }) => Math.min(20, node.length) * DIGIT + 12)));
  /** @param {number} seconds */
  const scale = (seconds) => labelWidth + (seconds / length) * (width - labelWidth - 4);
  let y = AXIS;
  const parts = [];
  for (const row of rows) {
    parts.push(svg("text", { x: 0, y: y + 15, class: "node", text: truncate(row.node, 20) }));
    for (const span of row.spans) parts.push(spanElement(span, tasks, scale, y + span.lane * LANE));
    y += row.lanes * LANE + GAP;
  }
  const label = `The tasks of ${rows.length} nodes over ${formatDuration(length)}; also available as text below.`;
  const ticks = axisTicks(length, Math.max(2, (width - labelWidth) / 90));
  return svg(
    "svg",
    { class: "timeline", role: "img", "aria-label": label, width, height: y, viewBox: `0 0 ${width} ${y}` },
    ...ticks.map((at) => tickElement(at, scale(at), y, width)),
    ...parts,
  );
}

/** @param {number} at seconds @param {number} x @param {number} height @param {number} width of the drawing */
function tickElement(at, x, height, width) {
  const label = at === 0 ? "0" : `+${formatDuration(at)}`;
  const fits = x + label.length * DIGIT < width;
  const text = fits ? svg("text", { x: x + 3, y: 12, class: "axis", text: label }) : null;
  return svg("g", {}, svg("line", { x1: x, x2: x, y1: AXIS - 4, y2: height, class: "grid" }), text);
}

/** @param {Span} span @param {string[]} tasks @param {(seconds: number) => number} scale @param {number} y */
function spanElement(span, tasks, scale, y) {
  const x = scale(span.from);
  const width = Math.max(3, scale(span.to) - x);
  const number = String(span.task + 1);
  const title = svg("title", { text: eventTitle(span.event) });
  const box = svg("rect", {
    x,
    y,
    width,
    height: LANE - 4,
    rx: 3,
    class: "span",
    "data-state": span.event.state,
    "data-open": span.open,
  });
  const fits = width > number.length * DIGIT + 6;
  const text = fits ? svg("text", { x: x + 5, y: y + 13, class: "in", text: number }) : null;
  return svg("g", { "data-task": tasks[span.task], "data-node": span.event.node }, title, box, text);
}

/** @param {string[]} tasks */
function legend(tasks) {
  return h("ol", { class: "legend" }, ...tasks.map((task) => h("li", {}, externalText(truncate(task, 80)))));
}

/** @param {NodePage} detail */
function asText({ nodes, events }) {
  const list = h("ul");
  const details = h("details", {}, h("summary", { text: "The timeline as text" }), list);
  details.addEventListener("toggle", () => {
    if (list.childElementCount) return;
    for (const node of nodes) {
      const ofNode = events
        .filter((event) => event.node === node)
        .sort((a, b) => (a.started_at ?? Infinity) - (b.started_at ?? Infinity));
      list.append(h("li", {}, externalText(node), h("ul", {}, ...ofNode.map((event) => eventItem(event)))));
    }
  });
  return details;
}

/** @param {NodeEvent} event */
function eventItem(event) {
  const end = event.ended_at === null ? "–" : timeElement(event.ended_at);
  const rest = `, ${formatDuration(event.duration_seconds)}, ${event.state}`;
  return h("li", {}, externalText(`${event.task}:`), " ", timeElement(event.started_at), " to ", end, rest);
}

/** @param {NodeEvent} event */
function eventTitle(event) {
  const times = `${clockTime(event.started_at)} to ${clockTime(event.ended_at)}`;
  const where = `${truncate(event.task, 200)} on ${truncate(event.node, 80)}`;
  return `${where}: ${event.state}, ${times}, ${formatDuration(event.duration_seconds)}`;
}
