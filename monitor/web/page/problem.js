/** Shows why a request failed: the daemon's problem details as it sent them. */

import { ProblemResponse } from "./api.js";
import { expandableText, externalText, h } from "./dom.js";
import { formatDuration } from "./format.js";

/**
 * @param {unknown} error ProblemResponse, Unreachable or another Error
 * @param {{isPatch?: boolean}} [of] `isPatch`: without a response it is unknown whether the change was made
 */
export function problemBox(error, { isPatch = false } = {}) {
  const box = h("div", { class: "problem", role: "alert" });
  if (!(error instanceof ProblemResponse)) {
    box.append(h("p", { class: "problem-title", text: `No response: ${errorText(error)}` }));
    if (isPatch) {
      const text = "It is not known whether the change was made: check it before you repeat it.";
      box.append(h("p", { text }));
    }
    return box;
  }
  const { title, detail, path, request_id: request, status } = error.problem;
  const code = h("span", { class: "muted", text: ` (${status})` });
  box.append(h("p", { class: "problem-title" }, externalText(title), code));
  if (detail) box.append(h("p", {}, expandableText(detail, 600)));
  /** @type {[string, string][]} */
  const facts = [];
  if (path) facts.push(["Path", path]);
  if (request) facts.push(["Request", request]);
  if (error.retryAfter !== null) facts.push(["Retry", `in ${formatDuration(error.retryAfter)}`]);
  const pairs = facts.flatMap(([name, value]) => [
    h("dt", { text: name }),
    h("dd", {}, externalText(value, { class: "code" })),
  ]);
  if (facts.length) box.append(h("dl", { class: "pairs" }, ...pairs));
  return box;
}

/** @param {unknown} error */
export function errorText(error) {
  return error instanceof Error ? error.message : String(error);
}
