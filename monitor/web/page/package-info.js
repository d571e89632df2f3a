/** The contents of an image: facts from the event stream and from the raw object; that object itself; its audit log. */

import { expandableText, externalText, h, timeElement } from "./dom.js";

/**
 * The rows: the label, and the value. A row without a value is left out.
 * @type {[string, (image: LiveImage, raw: RawImage) => string][]}
 */
const ROWS = [
  ["UUID", ({ uuid }) => uuid],
  ["Version", ({ version }) => version],
  ["Patch", ({ patch }) => patch],
  ["Type", ({ type }) => type],
  ["Tenant", ({ tenant }) => tenant],
  ["Uber bundle", ({ uber_bundle: uber }) => yesNo(uber)],
  ["Controller package", (_, raw) => packageText(raw["controller_info"])],
  ["Service engine package", (_, raw) => packageText(raw["se_info"])],
  ["Controller patch", (_, raw) => joinTexts([raw["controller_patch_name"], raw["controller_patch_ref"]], " – ")],
  ["Service engine patch", (_, raw) => joinTexts([raw["se_patch_name"], raw["se_patch_ref"]], " – ")],
  ["Clouds", (_, raw) => cloudNames(raw["cloud_info_values"])],
  ["FIPS transition", (_, raw) => yesNo(raw["fips_mode_transition_applicable"])],
];

/** @param {LiveImage} image @param {RawImage | null} raw null: not loaded yet */
export function packageList(image, raw) {
  const rows = ROWS.flatMap(([label, valueOf]) => {
    const value = valueOf(image, raw ?? {});
    return value ? [h("dt", { text: label }), h("dd", {}, expandableText(value, 200))] : [];
  });
  return h("dl", { class: "pairs" }, ...rows);
}

/** @param {unknown} value */
function yesNo(value) {
  return typeof value === "boolean" ? (value ? "yes" : "no") : "";
}

/** @param {unknown} info `{build: {version, …}}` */
function packageText(info) {
  const build = member(info, "build");
  const [version, patch, number] = [
    member(build, "version"),
    member(build, "patch_version"),
    member(build, "build_no"),
  ];
  const parts = [version, patch && `patch ${patch}`, number && `build ${number}`];
  return joinTexts([...parts, member(build, "tag"), member(build, "date")], ", ");
}

/** @param {unknown} clouds `[{cloud_name}, …]` */
function cloudNames(clouds) {
  return Array.isArray(clouds) ? clouds.map((each) => member(each, "cloud_name")).join(", ") : "";
}

/** A member of what should be an object. @param {unknown} value @param {string} name @returns {unknown} */
function member(value, name) {
  return typeof value === "object" && value !== null ? /** @type {Record<string, unknown>} */ (value)[name] : null;
}

/** @param {unknown[]} values @param {string} separator */
function joinTexts(values, separator) {
  return values.filter((each) => (typeof each === "string" || typeof each === "number") && each).join(separator);
}

/**
 * The raw object: as text on demand, and as a link, which works where no token is needed.
 * @param {string} url
 * @param {() => RawImage | null} getRaw
 */
export function rawView(url, getRaw) {
  const text = h("pre", { class: "raw", tabindex: "0", "aria-label": "Raw object" });
  const details = h("details", {}, h("summary", { text: "Show it here" }), text);
  const update = () => {
    const raw = getRaw();
    if (details.open && raw) text.textContent = JSON.stringify(raw, null, 2);
  };
  details.addEventListener("toggle", update);
  const link = h("a", { href: url, target: "_blank", rel: "noopener", text: "Raw object" });
  const hint = h("span", { class: "muted", text: " (in a new tab; your token is not sent)" });
  return { element: h("div", {}, h("p", {}, link, hint), details), update };
}

/** The latest audit records. @param {AuditEntry[]} records */
export function auditList(records) {
  if (!records.length) return h("p", { class: "muted", text: "This image was not changed through the monitor." });
  const head = h("tr", {}, ...["When", "Who", "What", "Outcome"].map((text) => h("th", { scope: "col", text })));
  return h(
    "table",
    { class: "plain stacked" },
    h("caption", { class: "visually-hidden", text: "Audit records" }),
    h("thead", {}, head),
    h("tbody", {}, ...records.map((record) => auditRow(record))),
  );
}

/** @param {AuditEntry} record */
function auditRow(record) {
  const outcome = record.outcome ?? "in progress";
  const changes = Object.entries(record.changes).map(
    ([field, [before, after]]) => `${field}: ${valueText(before)} → ${valueText(after)}`,
  );
  const detail = record.detail ? h("div", { class: "muted" }, expandableText(record.detail, 160)) : null;
  return h(
    "tr",
    { "data-outcome": outcome },
    h("td", {}, timeElement(record.at)),
    h("td", {}, externalText(record.actor)),
    h("td", {}, expandableText(changes.join("; ") || JSON.stringify(record.asked), 160)),
    h("td", {}, outcome, detail),
  );
}

/** @param {unknown} value */
export function valueText(value) {
  if (value === null || value === undefined) return "not set";
  return typeof value === "string" ? value : JSON.stringify(value);
}
