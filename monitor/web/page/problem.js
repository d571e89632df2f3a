/** A refusal, as the server worded it. */

import { Refused } from "./api.js";
import { foreign, h, longText } from "./dom.js";
import { duration } from "./format.js";

/**
 * @param {Error} error Refused or Unreachable
 * @param {{doubt?: boolean}} [of] `doubt`: it was a change, so without an answer nobody knows whether it was done
 */
export function problemBox(error, { doubt = false } = {}) {
  const box = h("div", { class: "problem", role: "alert" });
  if (!(error instanceof Refused)) {
    box.append(h("p", { class: "problem-title", text: `No answer: ${error.message}` }));
    if (doubt)
      box.append(h("p", { text: "Nobody knows whether it was done: look at the image before you repeat it." }));
    return box;
  }
  const { title, detail, path, request_id: request, status } = error.problem;
  box.append(h("p", { class: "problem-title" }, foreign(title), h("span", { class: "muted", text: ` (${status})` })));
  if (detail) box.append(h("p", {}, longText(detail, 600)));
  const facts = [path && ["Path", path], request && ["Request", request]].filter(Boolean);
  if (error.wait !== null) facts.push(["May be tried again", `in ${duration(error.wait)}`]);
  if (facts.length) box.append(pairs(facts));
  return box;
}

function pairs(facts) {
  return h(
    "dl",
    { class: "pairs" },
    ...facts.flatMap(([name, value]) => [h("dt", { text: name }), h("dd", {}, foreign(value, { class: "code" }))]),
  );
}
