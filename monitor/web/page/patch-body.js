/** Builds the bodies of PATCH requests from what a person entered. Pure; the daemon validates them. */

/** @typedef {{name: string, kind: "choice", choices: string[]}} ChoiceField */
/** @typedef {{name: string, kind: "text"} | {name: string, kind: "json"} | ChoiceField} Field */

/**
 * The fields of an image that can be adjusted, and how they are entered. Source: docs/how-to/adjust-an-image.md.
 * @type {Field[]}
 */
export const FIELDS = [
  { name: "name", kind: "text" },
  { name: "controller_patch_ref", kind: "text" },
  { name: "se_patch_ref", kind: "text" },
  { name: "controller_patch_name", kind: "text" },
  { name: "se_patch_name", kind: "text" },
  { name: "uber_bundle", kind: "choice", choices: ["true", "false"] },
  { name: "fips_mode_transition_applicable", kind: "choice", choices: ["true", "false"] },
  { name: "type", kind: "choice", choices: ["IMAGE_TYPE_SYSTEM", "IMAGE_TYPE_PATCH", "IMAGE_TYPE_MUST_CHECK"] },
  { name: "cloud_info_values", kind: "json" },
];

/** @param {string} key @param {string} value */
export const annotateBody = (key, value) => ({ annotations: { [key]: value } });
/** @param {string} key */
export const removeBody = (key) => ({ annotations: { [key]: null } });
/** @param {boolean} acknowledged */
export const acknowledgeBody = (acknowledged) => ({ annotations: { acknowledged: acknowledged ? "true" : null } });

/** A field's value as text for the form; "" when it is not set. @param {Field} field @param {unknown} value */
export function formText(field, value) {
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value, null, field.kind === "json" ? 1 : 0);
}

/**
 * Set the fields that were changed in the form.
 * @param {Record<string, string>} before the form's content when it was made: an input may show another text than the
 *   image has, for example none for a value that is no choice
 * @param {Record<string, string>} texts the form's content now
 * @throws {Error} with a message for the person
 */
export function setBody(before, texts) {
  /** @type {Record<string, unknown>} */
  const body = {};
  for (const field of FIELDS) {
    const text = texts[field.name] ?? "";
    if (text === before[field.name]) continue;
    if (text === "") throw new Error(`${field.name} is empty: to remove its value, choose “Unset fields”.`);
    body[field.name] = parseField(field, text);
  }
  if (!Object.keys(body).length) throw new Error("No field was changed.");
  return body;
}

/** Unset fields: an operation of its own, which cannot be combined with setBody. @param {string[]} names */
export function unsetBody(names) {
  if (!names.length) throw new Error("No field was chosen.");
  return Object.fromEntries(names.map((name) => [name, null]));
}

/** @param {Field} field @param {string} text @returns {unknown} */
function parseField(field, text) {
  if (field.kind === "text") return text;
  if (field.kind === "choice") return text === "true" || text === "false" ? text === "true" : text;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${field.name} is not JSON: ${/** @type {Error} */ (error).message}`);
  }
}

/** The result of a dry run as rows, without the fields that stay the same. @param {Changes} changes */
export function differences(changes) {
  return Object.entries(changes)
    .map(([field, [before, after]]) => ({ field, before, after }))
    .filter(({ before, after }) => JSON.stringify(before ?? null) !== JSON.stringify(after ?? null));
}
