/** The four steps of an upgrade, and how far each is. Pure. */

import { allLeftBehind, clusterOf, enginesDone, failedGroups, isAtRest, isNotDone } from "./upgrade-status.js";
import { formatTasks, plural } from "./format.js";

/** @import { Contents } from "./upgrade-status.js" */

/** @typedef {"done" | "warned" | "current" | "failed" | "waiting"} StepState */
/** @typedef {{name: string, state: StepState, text: string}} Step */

const NOT_PART = /** @type {const} */ ({ state: "waiting", text: "not part of it" });
const NOT_BEGUN = /** @type {const} */ ({ state: "waiting", text: "not begun" });
const WAITING = /** @type {const} */ ({ state: "waiting", text: "" });

/** None while nothing has ever run. @param {Contents} upgrade @returns {Step[]} */
export function stepsOf(upgrade) {
  const isOver = isAtRest(upgrade);
  if (isOver && upgrade.status.done === null) return [];
  const steps = [
    { name: "Checks", ...checksStep(upgrade) },
    { name: "Controllers", ...controllersStep(upgrade) },
    { name: "Service Engines", ...enginesStep(upgrade) },
    { name: "Done", ...doneStep(upgrade) },
  ];
  const { state, text } = NOT_BEGUN;
  return steps.map((step) => (isOver && step.state === "waiting" && !step.text ? { ...step, state, text } : step));
}

/** @param {Contents} upgrade @returns {Omit<Step, "name">} */
function checksStep(upgrade) {
  const cluster = clusterOf(upgrade);
  if (!cluster) return WAITING;
  const { state, checks } = cluster;
  if (state === "idle") return isAtRest(upgrade) ? WAITING : NOT_PART;
  const { warnings = 0, errors = 0 } = checks ?? {};
  if (state === "checking")
    return { state: "current", text: checks?.checks ? `${checks.completed ?? 0} of ${checks.checks}` : "running" };
  if (state === "check_failed" || errors) return { state: "failed", text: errors ? `${errors} failed` : "failed" };
  if (warnings) return { state: "warned", text: plural(warnings, "warning") };
  if (state === "queued" && !checks) return WAITING;
  return { state: "done", text: checks ? "passed" : "" };
}

/** @param {Contents} upgrade @returns {Omit<Step, "name">} */
function controllersStep(upgrade) {
  const { phase } = upgrade.status;
  const cluster = clusterOf(upgrade);
  if (!cluster) return WAITING;
  const { state } = cluster;
  if (phase === "away") return { state: "current", text: "away" };
  if (phase === "controllers")
    return { state: "current", text: state === "queued" ? "queued" : `${formatTasks(cluster)} tasks` };
  if (state === "aborting") return { state: "failed", text: "rolling back" };
  if (phase === "rolling_back" && state !== "completed") return { state: "current", text: "rolling back" };
  if (state === "failed" || state === "suspended") return { state: "failed", text: state };
  if (state === "completed" || state === "running") return { state: "done", text: `at ${cluster.version}` };
  return state === "idle" && !isAtRest(upgrade) ? NOT_PART : WAITING;
}

/** @param {Contents} upgrade @returns {Omit<Step, "name">} */
function enginesStep(upgrade) {
  const { phase, done } = upgrade.status;
  const count = enginesDone(upgrade);
  const failed = failedGroups(upgrade);
  if (failed || phase === "suspended") return { state: "failed", text: failed || "suspended" };
  if (phase === "service_engines") return { state: "current", text: count && `${count} done` };
  if (isNotDone(upgrade)) return { state: "failed", text: `${allLeftBehind(upgrade)} left behind` };
  return done && isAtRest(upgrade) ? { state: "done", text: count && `${count} done` } : WAITING;
}

/** @param {Contents} upgrade @returns {Omit<Step, "name">} */
function doneStep(upgrade) {
  if (isNotDone(upgrade)) return { state: "failed", text: "not done" };
  return upgrade.status.done && isAtRest(upgrade) ? { state: "done", text: "" } : WAITING;
}
