/** The Controllers of an upgrade: state, progress and times from the event stream, and the tasks of each node. */

import { ProgressBar } from "./bar.js";
import { NodeTasks } from "./node-tasks.js";
import { expandableText, externalText, h, setAttr, setText, setVisible } from "./dom.js";
import { textFact, timeFact } from "./facts.js";
import { imageHref } from "./place.js";
import { endOfEstimate } from "./status.js";
import { canAcknowledgeUnit, isNotDone, stateText, unitLook } from "./upgrade-status.js";
import { clockTime, formatDuration, formatTasks, isKnown, roughDuration, truncate } from "./format.js";

/** @import { ControllerUpgrade } from "./upgrades.js" */

/** In these states the progress is none of the operation, or not told. @type {Set<UpgradeState>} */
const WITHOUT_PROGRESS = new Set(["idle", "queued", "checking", "checked", "check_failed"]);

export class ControllersPanel {
  #glyph = h("span", { "aria-hidden": "true" });
  #state = h("span");
  #badge = h("span", { class: "badge" }, this.#glyph, " ", this.#state);
  #acknowledged = h("span", { class: "muted", text: "acknowledged" });
  #bar = new ProgressBar();
  #acknowledge = h("button", { type: "button", class: "small" });
  #reason = h("div", { class: "reason-box", "data-state": "failed" });
  #imageName = externalText("");
  #image = h("a", {}, this.#imageName);
  #imageLabel = h("span", { class: "muted" });
  #imageLine = h("p", {}, this.#imageLabel, " ", this.#image);
  #task = textFact("Task now");
  #tasks = textFact("Tasks done");
  #eta = timeFact("Ends");
  #moved = timeFact("Last move");
  #started = timeFact("Started");
  #ended = timeFact("Ended");
  #duration = textFact("Took");
  #word = textFact("In the Controller's words");
  #nodes = new NodeTasks("The Controllers report no tasks yet.");
  /** @type {UnitStatus | null} */
  #unit = null;
  /** @type {UpgradeStatus | null} */
  #status = null;
  element = h(
    "div",
    { class: "stack" },
    h("div", { class: "line" }, this.#badge, this.#acknowledged, this.#bar.element, this.#acknowledge),
    this.#reason,
    this.#imageLine,
    h(
      "dl",
      { class: "pairs wide" },
      ...[
        this.#task,
        this.#tasks,
        this.#eta,
        this.#moved,
        this.#started,
        this.#ended,
        this.#duration,
        this.#word,
      ].flatMap(({ elements }) => elements),
    ),
    this.#nodes.element,
  );

  /** @param {(unit: UnitStatus) => void} acknowledge */
  constructor(acknowledge) {
    this.#acknowledge.addEventListener("click", () => this.#unit && acknowledge(this.#unit));
  }

  /** @param {string} controller @param {UnitStatus} unit @param {ControllerUpgrade} upgrade @param {number} now */
  draw(controller, unit, upgrade, now) {
    const { status, health } = upgrade;
    if (unit !== this.#unit || status !== this.#status) this.#drawUnit(controller, unit, upgrade);
    this.#status = status;
    this.#unit = unit;
    const { eta } = unit;
    const end = eta && !health?.stale ? endOfEstimate(eta, now) : null;
    this.#eta.set(end?.at ?? null, end ? `${end.text}${end.range ? ` (${end.range})` : ""}` : "");
    const stalled = unit.standing === "stalled" && status.away_since === null;
    const begun = unit.state !== "idle";
    const moved = stalled ? `no move for ${roughDuration(now - unit.changed_at)}` : clockTime(unit.changed_at, now);
    this.#moved.set(unit.changed_at, begun ? moved : "");
    this.#started.set(unit.started_at, isKnown(unit.started_at) ? clockTime(unit.started_at, now) : "");
    this.#ended.set(unit.ended_at, isKnown(unit.ended_at) ? clockTime(unit.ended_at, now) : "");
  }

  /** @param {string} controller @param {UnitStatus} unit @param {ControllerUpgrade} upgrade */
  #drawUnit(controller, unit, upgrade) {
    const { phase } = upgrade.status;
    const isWaiting = unit.state === "running" && (phase === "service_engines" || phase === "suspended");
    const { standing, glyph } = isWaiting ? { standing: "completed", glyph: "✓" } : unitLook(unit);
    const text = isWaiting ? "done; the Service Engines follow" : stateText(unit);
    setAttr(this.#badge, "data-state", standing);
    setText(this.#glyph, glyph);
    setText(this.#state, text);
    setVisible(this.#acknowledged, unit.acknowledged);
    setVisible(this.#acknowledge, canAcknowledgeUnit(unit) || isNotDone(upgrade));
    setText(this.#acknowledge, unit.acknowledged ? "Remove acknowledgement" : "Acknowledge");
    setVisible(this.#bar.element, !isWaiting && isKnown(unit.progress_ratio) && !WITHOUT_PROGRESS.has(unit.state));
    this.#bar.update(unit, text, "Progress of the Controllers");
    this.#reason.replaceChildren(...(unit.reason ? [expandableText(unit.reason, 500)] : []));
    setVisible(this.#reason, unit.reason !== "");
    this.#tasks.set(unit.tasks ? formatTasks(unit) : "");
    this.#duration.set(isKnown(unit.duration_seconds) ? formatDuration(unit.duration_seconds) : "");
    this.#word.set(unit.state === "idle" ? "" : truncate(unit.fsm, 64));
    const uuid = unit.image_uuids["target"] ?? unit.image_uuids["current"];
    setVisible(this.#imageLine, uuid !== undefined);
    setText(this.#imageLabel, unit.image_uuids["target"] ? "Image that they are upgraded to:" : "Image that they run:");
    setAttr(this.#image, "href", uuid ? imageHref(controller, uuid) : null);
    setText(this.#imageName, truncate(unit.target || unit.tag || uuid || "", 200));
  }

  /** @param {TaskPage} detail */
  showTasks(detail) {
    this.#nodes.show(detail);
    setVisible(this.#nodes.timeline, detail.events.length > 0);
    const running = detail.events.filter(({ state }) => state === "running");
    const tasks = [...new Set(running.map(({ task }) => truncate(task, 80)))];
    const nodes = new Set(running.map(({ node }) => node)).size;
    this.#task.set(tasks.length ? `${tasks.join(", ")} on ${nodes} of ${detail.nodes.length} nodes` : "");
  }

  /** @param {unknown} error */
  showError(error) {
    this.#nodes.showError(error);
  }

  stop() {
    this.#nodes.stop();
  }
}
