/** The pre-checks of one unit that failed or warned, with their texts. */

import { expandableText, externalText, h } from "./dom.js";

/** @type {Record<string, {glyph: string, text: string, standing: Standing, rank: number}>} */
const RESULTS = {
  error: { glyph: "✕", text: "failed", standing: "failed", rank: 0 },
  warning: { glyph: "!", text: "warning", standing: "stalled", rank: 1 },
};
/** @type {{glyph: string, text: string, standing: Standing, rank: number}} */
const OTHER_RESULT = { glyph: "?", text: "other", standing: "unknown", rank: 2 };

/** Those that did not simply pass: failed ones first. @param {CheckException[]} checks */
export function checkList(checks) {
  const sorted = [...checks].sort((a, b) => resultOf(a).rank - resultOf(b).rank);
  return h("ul", { class: "checks", role: "list", "aria-label": "Checks that failed or warned" }, ...sorted.map(item));
}

/** @param {CheckException} check */
function resultOf({ result }) {
  return RESULTS[result] ?? OTHER_RESULT;
}

/** @param {CheckException} check */
function item(check) {
  const { glyph, text, standing } = resultOf(check);
  const sign = h("span", { "aria-hidden": "true", text: glyph });
  return h(
    "li",
    { "data-result": check.result },
    h("span", { class: "badge", "data-state": standing }, sign, ` ${text}`),
    externalText(check.code, { class: "code" }),
    check.description ? expandableText(check.description, 400) : null,
    check.details.length
      ? h("ul", {}, ...check.details.map((detail) => h("li", {}, expandableText(detail, 400))))
      : null,
  );
}
