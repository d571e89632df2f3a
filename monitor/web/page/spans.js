/** The layout of the timeline. Pure: events in, numbers out; times are the Controller's. */

/** @typedef {NodeEvent & {started_at: number}} StartedEvent */

/**
 * @typedef {object} Span
 * @property {StartedEvent} event
 * @property {number} task index of its task
 * @property {number} from seconds since the start of the timeline
 * @property {number} to the same
 * @property {number} lane 0 unless another task of the node runs at the same time
 * @property {boolean} open it is still running, so `to` is only the end of the timeline
 */

/** @typedef {{start: number, length: number, rows: {node: string, lanes: number, spans: Span[]}[]}} Layout */

/**
 * @param {NodePage} detail
 * @returns {Layout | null} null when no event has a start
 */
export function layoutTimeline({ tasks, nodes, events }) {
  const started = events.filter(/** @returns {event is StartedEvent} */ (event) => Number.isFinite(event.started_at));
  if (!started.length) return null;
  const start = Math.min(...started.map((event) => event.started_at));
  const end = Math.max(...started.map((event) => endOf(event) ?? event.started_at));
  const running = started.some((event) => endOf(event) === null || event.state === "running");
  const length = Math.max(1, (end - start) * (running ? 1.06 : 1)); // room at the end for what is still running
  const indexOf = new Map(tasks.map((task, index) => [task, index]));
  const rows = nodes.map((node) => {
    const ofNode = started.filter((event) => event.node === node).sort((a, b) => a.started_at - b.started_at);
    const spans = ofNode.map((event) => spanOf(event, indexOf.get(event.task) ?? 0, start, length));
    return { node, lanes: assignLanes(spans), spans };
  });
  return { start, length, rows };
}

/** @param {StartedEvent} event @returns {number | null} */
function endOf(event) {
  if (event.ended_at !== null && Number.isFinite(event.ended_at)) return event.ended_at;
  if (event.duration_seconds === null || !Number.isFinite(event.duration_seconds)) return null;
  return event.started_at + event.duration_seconds;
}

/** @param {StartedEvent} event @param {number} task @param {number} start @param {number} length @returns {Span} */
function spanOf(event, task, start, length) {
  const open = event.state === "running" || (event.state === "pending" && endOf(event) === null);
  const to = open ? length : (endOf(event) ?? event.started_at) - start;
  return { event, task, from: event.started_at - start, to, lane: 0, open };
}

/** Put spans that overlap into lanes of their own. @param {Span[]} spans by start @returns {number} how many lanes */
function assignLanes(spans) {
  /** @type {number[]} */
  const ends = [];
  for (const span of spans) {
    const free = ends.findIndex((end) => end <= span.from + 1e-6);
    span.lane = free < 0 ? ends.length : free;
    ends[span.lane] = Math.max(span.to, span.from);
  }
  return Math.max(1, ends.length);
}

/**
 * The ticks of the axis, at round distances.
 * @param {number} length seconds
 * @param {number} max about how many
 * @returns {number[]} seconds
 */
export function axisTicks(length, max) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
  const step = steps.find((each) => length / each <= max) ?? Math.ceil(length / max / 86400) * 86400;
  return Array.from({ length: Math.floor(length / step) + 1 }, (_, index) => index * step);
}
