/** What a PATCH asks for: from what a person entered to the body of one operation. Pure; the daemon checks it. */

/** The fields of an image that can be adjusted, and how they are entered. Source: README, "Adjust an image". */
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

export const annotateBody = (key, value) => ({ annotations: { [key]: value } });
export const removeBody = (key) => ({ annotations: { [key]: null } });
export const acknowledgeBody = (known) => ({ annotations: { acknowledged: known ? "true" : null } });

/** How a field's present value stands in the form; "" when it is not there. */
export function entered(field, value) {
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value, null, field.kind === "json" ? 1 : 0);
}

/**
 * Set what was altered in the form.
 * @param {object} raw the image as it is
 * @param {Record<string, string>} texts what stands in the form
 * @throws {Error} with words for the person
 */
export function setBody(raw, texts) {
  const body = {};
  for (const field of FIELDS) {
    const text = texts[field.name];
    if (text === entered(field, raw[field.name])) continue;
    if (text === "") throw new Error(`${field.name} is empty: to take its value away, choose “Unset fields”.`);
    body[field.name] = valueOf(field, text);
  }
  if (!Object.keys(body).length) throw new Error("Nothing was altered.");
  return body;
}

/** Unset fields; another operation than setting, so another request. @param {string[]} names */
export function unsetBody(names) {
  if (!names.length) throw new Error("No field was chosen.");
  return Object.fromEntries(names.map((name) => [name, null]));
}

function valueOf(field, text) {
  if (field.kind === "text") return text;
  if (field.kind === "choice") return text === "true" || text === "false" ? text === "true" : text;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${field.name} is no JSON: ${error.message}`);
  }
}

/** What a dry run said, as rows; those that stay as they are left out. */
export function differences(changes) {
  return Object.entries(changes)
    .map(([field, [before, after]]) => ({ field, before, after }))
    .filter(({ before, after }) => JSON.stringify(before ?? null) !== JSON.stringify(after ?? null));
}
