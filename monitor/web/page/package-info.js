/** What is in the image: out of the stream what it tells, out of the raw object the rest. And that object, and its audit. */

import { foreign, h, longText } from "./dom.js";

/** Each fact: its label, and where it is found. A row whose value is not there is left out. */
const FACTS = [
  ["UUID", ({ uuid }) => uuid],
  ["Version", ({ version }) => version],
  ["Patch", ({ patch }) => patch],
  ["Type", ({ type }) => type],
  ["Tenant", ({ tenant }) => tenant],
  ["Uber bundle", ({ uber_bundle: uber }) => yesNo(uber)],
  ["Controller package", (_, raw) => packageOf(raw?.controller_info)],
  ["Service engine package", (_, raw) => packageOf(raw?.se_info)],
  ["Controller patch", (_, raw) => patchOf(raw?.controller_patch_name, raw?.controller_patch_ref)],
  ["Service engine patch", (_, raw) => patchOf(raw?.se_patch_name, raw?.se_patch_ref)],
  [
    "Clouds",
    (_, raw) =>
      Array.isArray(raw?.cloud_info_values) && raw.cloud_info_values.map((each) => each?.cloud_name).join(", "),
  ],
  ["FIPS transition", (_, raw) => yesNo(raw?.fips_mode_transition_applicable)],
];

/** @param {object} image of the stream @param {object | null} raw the Controller's own object */
export function packageList(image, raw) {
  const rows = FACTS.flatMap(([label, of]) => {
    const value = of(image, raw);
    return value ? [h("dt", { text: label }), h("dd", {}, longText(String(value), 200))] : [];
  });
  return h("dl", { class: "pairs" }, ...rows);
}

function yesNo(value) {
  return typeof value === "boolean" ? (value ? "yes" : "no") : "";
}

function packageOf(info) {
  const build = info?.build;
  if (!build) return "";
  const patch = build.patch_version && `patch ${build.patch_version}`;
  return [build.version, patch, build.build_no && `build ${build.build_no}`, build.tag, build.date]
    .filter(Boolean)
    .join(", ");
}

function patchOf(name, ref) {
  return [name, ref].filter((each) => typeof each === "string" && each).join(" – ");
}

/** The raw object: as text on demand, and a link for those who need no token. */
export function rawView(route, raw) {
  const text = h("pre", { class: "raw", tabindex: "0", "aria-label": "Raw object" });
  const details = h("details", {}, h("summary", { text: "Show it here" }), text);
  const fill = () => details.open && raw() && (text.textContent = JSON.stringify(raw(), null, 2));
  details.addEventListener("toggle", fill);
  const link = h("a", { href: route, target: "_blank", rel: "noopener", text: "Raw object" });
  return {
    element: h(
      "div",
      {},
      h("p", {}, link, h("span", { class: "muted", text: " (a new tab; it goes without your token)" })),
      details,
    ),
    fill,
  };
}

/** The last audit records, or one quiet line. @param {object[]} records of GET /api/audit */
export function auditList(records, timeOf) {
  if (!records.length) return h("p", { class: "muted", text: "Nobody changed this image through the monitor." });
  const rows = records.map((each) =>
    h(
      "tr",
      { "data-outcome": each.outcome ?? "under way" },
      h("td", {}, timeOf(each.at)),
      h("td", {}, foreign(each.actor)),
      h(
        "td",
        {},
        longText(
          Object.entries(each.changes ?? {})
            .map(changeText)
            .join("; ") || JSON.stringify(each.asked),
          160,
        ),
      ),
      h(
        "td",
        {},
        each.outcome ?? "under way",
        each.detail ? h("div", { class: "muted" }, longText(each.detail, 160)) : null,
      ),
    ),
  );
  const head = h("tr", {}, ...["When", "Who", "What", "Outcome"].map((text) => h("th", { scope: "col", text })));
  return h(
    "table",
    { class: "plain stacked" },
    h("caption", { class: "unseen", text: "Audit records" }),
    h("thead", {}, head),
    h("tbody", {}, ...rows),
  );
}

function changeText([field, [before, after]]) {
  return `${field}: ${valueText(before)} → ${valueText(after)}`;
}

export function valueText(value) {
  if (value === null || value === undefined) return "not there";
  return typeof value === "string" ? value : JSON.stringify(value);
}
