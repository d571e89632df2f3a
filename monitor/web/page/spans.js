/** Where the bars of the timeline lie. Pure: events in, numbers out; times are the Controller's. */

/**
 * @typedef {object} Span
 * @property {object} event
 * @property {number} task its place among the tasks
 * @property {number} from seconds since the timeline begins
 * @property {number} to the same
 * @property {number} lane 0 unless another task of the node runs at the same time
 * @property {boolean} open it runs still, so `to` is only as far as we know
 */

/**
 * @param {{tasks: string[], nodes: string[], events: object[]}} detail
 * @returns {{begin: number, length: number, rows: {node: string, lanes: number, spans: Span[]}[]} | null} null: no times
 */
export function layOut({ tasks, nodes, events }) {
  const timed = events.filter((event) => Number.isFinite(event.started_at));
  if (!timed.length) return null;
  const begin = Math.min(...timed.map((event) => event.started_at));
  const known = Math.max(...timed.map((event) => endOf(event) ?? event.started_at));
  const running = timed.some((event) => endOf(event) === null || event.state === "running");
  const length = Math.max(1, (known - begin) * (running ? 1.06 : 1)); // a little room, in which what runs is open
  const place = new Map(tasks.map((task, index) => [task, index]));
  const rows = nodes.map((node) => {
    const own = timed.filter((event) => event.node === node).sort((a, b) => a.started_at - b.started_at);
    const spans = own.map((event) => spanOf(event, place.get(event.task) ?? 0, begin, length));
    return { node, lanes: intoLanes(spans), spans };
  });
  return { begin, length, rows };
}

function endOf(event) {
  if (Number.isFinite(event.ended_at)) return event.ended_at;
  return Number.isFinite(event.duration_seconds) ? event.started_at + event.duration_seconds : null;
}

function spanOf(event, task, begin, length) {
  const open = event.state === "running" || (event.state === "pending" && endOf(event) === null);
  const to = open ? length : (endOf(event) ?? event.started_at) - begin;
  return { event, task, from: event.started_at - begin, to, lane: 0, open };
}

function intoLanes(spans) {
  const ends = [];
  for (const span of spans) {
    const free = ends.findIndex((end) => end <= span.from + 1e-6);
    span.lane = free < 0 ? ends.length : free;
    ends[span.lane] = Math.max(span.to, span.from);
  }
  return Math.max(1, ends.length);
}

/** Steps of the axis: about `most` of them, at lengths that people count in. @returns {number[]} seconds */
export function ticks(length, most) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
  const step = steps.find((each) => length / each <= most) ?? Math.ceil(length / most / 86400) * 86400;
  return Array.from({ length: Math.floor(length / step) + 1 }, (_, index) => index * step);
}
