/** The tasks of each node, as a table and as a timeline: of an image, or of the Controllers that are upgraded. */

import { h } from "./dom.js";
import { matrix } from "./matrix.js";
import { problemBox } from "./problem.js";
import { timeline } from "./timeline.js";

export class NodeTasks {
  /** @type {NodePage | null} */
  #detail = null;
  /** Which messages of the table are open. @type {Set<string>} */
  #openMessages = new Set();
  #timelineWidth = 0;
  table = loading("matrix");
  timeline = loading("timeline");
  scroller = h(
    "div",
    { class: "scroller", role: "region", "aria-label": "Table of nodes and tasks", tabindex: "0" },
    this.table,
  );
  element = h("div", { class: "stack" }, this.scroller, this.timeline);
  #resizeObserver = new ResizeObserver(() => this.#drawTimeline());

  /** @param {string} empty what is shown while there are no tasks */
  constructor(empty) {
    this.empty = empty;
    this.#resizeObserver.observe(this.timeline);
  }

  /** @param {NodePage} detail */
  show({ tasks, nodes, events }) {
    const detail = { tasks, nodes, events };
    if (JSON.stringify(detail) === JSON.stringify(this.#detail)) return;
    this.#detail = detail;
    const focusable = () => [
      .../** @type {NodeListOf<HTMLElement>} */ (this.table.querySelectorAll("summary, button")),
    ];
    const focused = focusable().findIndex((element) => element === document.activeElement);
    this.table.replaceChildren(
      events.length ? matrix(detail, this.#openMessages) : h("p", { class: "muted", text: this.empty }),
    );
    if (focused >= 0) focusable()[focused]?.focus();
    this.#timelineWidth = 0;
    this.#drawTimeline();
  }

  #drawTimeline() {
    const width = Math.floor(this.timeline.clientWidth);
    if (!this.#detail || !width || width === this.#timelineWidth) return;
    this.#timelineWidth = width;
    const open = this.timeline.querySelector("details[open]") !== null;
    this.timeline.replaceChildren(timeline(this.#detail, width));
    const details = this.timeline.querySelector("details");
    if (details) details.open = open;
  }

  /** @param {unknown} error */
  showError(error) {
    if (this.#detail) return; // the banner says that the data is old
    this.table.replaceChildren(problemBox(error));
    this.timeline.replaceChildren(h("p", { class: "muted", text: "The events could not be loaded." }));
  }

  stop() {
    this.#resizeObserver.disconnect();
  }
}

/** @param {string} name */
function loading(name) {
  return h("div", { "data-part": name }, h("p", { class: "muted", text: "Loading the events of the nodes …" }));
}
