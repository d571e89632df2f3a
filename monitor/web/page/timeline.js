/** The tasks of each node over the time, as a drawing, and the same as text for whoever cannot see it. */

import { foreign, h, svg, timeOf } from "./dom.js";
import { layOut, ticks } from "./spans.js";
import { clip, clockTime, duration } from "./format.js";

const LANE = 22;
const GAP = 8;
const AXIS = 22;
const FIGURE = 7; // about the width of a figure

/**
 * @param {{tasks: string[], nodes: string[], events: object[]}} detail
 * @param {number} width of the place that there is
 */
export function timeline(detail, width) {
  const plan = layOut(detail);
  if (!plan)
    return h("p", {
      class: "muted",
      text: "The Controller names no times for these tasks, so there is nothing to draw.",
    });
  return h("div", {}, drawing(plan, detail.tasks, width), legend(detail.tasks), asText(detail));
}

function drawing(plan, tasks, width) {
  const label = Math.min(150, Math.max(60, ...plan.rows.map(({ node }) => Math.min(20, node.length) * FIGURE + 12)));
  const scale = (seconds) => label + (seconds / plan.length) * (width - label - 4);
  let y = AXIS;
  const parts = [];
  for (const row of plan.rows) {
    parts.push(svg("text", { x: 0, y: y + 15, class: "node", text: clip(row.node, 20) }));
    for (const span of row.spans) parts.push(bar(span, tasks, scale, y + span.lane * LANE));
    y += row.lanes * LANE + GAP;
  }
  const text = `The tasks of ${plan.rows.length} nodes over ${duration(plan.length)}; the same stands below as text.`;
  const grid = ticks(plan.length, Math.max(2, (width - label) / 90)).map((at) => tick(at, scale(at), y, width));
  return svg(
    "svg",
    { class: "timeline", role: "img", "aria-label": text, width, height: y, viewBox: `0 0 ${width} ${y}` },
    ...grid,
    ...parts,
  );
}

function tick(at, x, height, width) {
  const words = at === 0 ? "0" : `+${duration(at)}`;
  const text = x + words.length * FIGURE < width ? svg("text", { x: x + 3, y: 12, class: "axis", text: words }) : null;
  return svg("g", {}, svg("line", { x1: x, x2: x, y1: AXIS - 4, y2: height, class: "grid" }), text);
}

function bar(span, tasks, scale, y) {
  const x = scale(span.from);
  const width = Math.max(3, scale(span.to) - x);
  const number = String(span.task + 1);
  const title = svg("title", { text: sentence(span.event) });
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
  const text =
    width > number.length * FIGURE + 6 ? svg("text", { x: x + 5, y: y + 13, class: "in", text: number }) : null;
  return svg("g", { "data-task": tasks[span.task], "data-node": span.event.node }, title, box, text);
}

function legend(tasks) {
  return h("ol", { class: "legend" }, ...tasks.map((task) => h("li", {}, foreign(clip(task, 80)))));
}

function asText({ nodes, events }) {
  const list = h("ul", {});
  const details = h("details", {}, h("summary", { text: "The timeline as text" }), list);
  details.addEventListener("toggle", () => {
    if (list.childElementCount) return;
    for (const node of nodes) {
      const own = events
        .filter((event) => event.node === node)
        .sort((a, b) => (a.started_at ?? Infinity) - (b.started_at ?? Infinity));
      list.append(h("li", {}, foreign(node), h("ul", {}, ...own.map((event) => line(event)))));
    }
  });
  return details;
}

function line(event) {
  const times = [" ", timeOf(event.started_at), " to ", event.ended_at === null ? "–" : timeOf(event.ended_at)];
  return h("li", {}, foreign(`${event.task}:`), ...times, `, ${duration(event.duration_seconds)}, ${event.state}`);
}

function sentence(event) {
  const times = `${clockTime(event.started_at)} to ${clockTime(event.ended_at)}`;
  return `${clip(event.task, 200)} on ${clip(event.node, 80)}: ${event.state}, ${times}, ${duration(event.duration_seconds)}`;
}
