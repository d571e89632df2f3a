/** The forms for entering a change. `body()` throws an Error with a message for the person. */

import { externalText, h, setVisible } from "./dom.js";
import { annotateBody, FIELDS, formText, setBody, unsetBody } from "./patch-body.js";
import { truncate } from "./format.js";

/** @import { Field } from "./patch-body.js" */

/** @typedef {{element: Element, body: () => object, query: () => Record<string, string>}} PatchForm */

/** @returns {PatchForm} */
export function annotateForm() {
  const key = h("input", {
    id: "annotate-key",
    autocomplete: "off",
    spellcheck: "false",
    maxlength: "63",
    required: true,
    "aria-describedby": "annotate-hint",
  });
  const value = h("textarea", { id: "annotate-value", rows: "2", maxlength: "1024" });
  const element = h(
    "div",
    { class: "stack" },
    h("label", { for: "annotate-key", text: "Key" }),
    key,
    h("p", {
      id: "annotate-hint",
      class: "hint",
      text: "For example change, owner or ticket: letters, digits and . _ / - An existing key gets the new value.",
    }),
    h("label", { for: "annotate-value", text: "Value" }),
    value,
  );
  const body = () => {
    if (!key.value.trim()) throw new Error("The key is empty.");
    return annotateBody(key.value.trim(), value.value);
  };
  return { element, body, query: () => ({}) };
}

/**
 * @param {RawImage} raw the image as it is
 * @param {boolean} active whether it is being processed
 * @returns {PatchForm}
 */
export function adjustForm(raw, active) {
  const set = radioButton("Set values", "set", true);
  const unset = radioButton("Unset fields", "unset", false);
  const inputs = FIELDS.map((field) => fieldInput(field, raw[field.name]));
  const present = FIELDS.filter(({ name }) => raw[name] !== undefined && raw[name] !== null);
  const boxes = present.map((field) => fieldCheckbox(field, raw[field.name]));
  const setPart = h("div", { class: "stack" }, ...inputs.map(({ element }) => element));
  const unsetPart = h("div", { class: "stack", hidden: true }, ...boxes.map(({ element }) => element));
  const force = h("input", { type: "checkbox", id: "adjust-force" });
  const forceLabel = h(
    "label",
    { class: "check", hidden: !active },
    force,
    " Even while it is being processed (force)",
  );
  const operation = h("fieldset", {}, h("legend", { text: "Operation: one per request" }), set.element, unset.element);
  operation.addEventListener("change", () => {
    setVisible(setPart, set.input.checked);
    setVisible(unsetPart, !set.input.checked);
  });
  const texts = () => Object.fromEntries(inputs.map(({ name, input }) => [name, input.value]));
  const textsBefore = texts();
  const chosen = () => boxes.filter(({ input }) => input.checked).map(({ name }) => name);
  return {
    element: h("div", { class: "stack" }, operation, setPart, unsetPart, forceLabel),
    body: () => (set.input.checked ? setBody(textsBefore, texts()) : unsetBody(chosen())),
    query: () => (force.checked ? { force: "true" } : {}),
  };
}

/** @param {string} text @param {string} value @param {boolean} checked */
function radioButton(text, value, checked) {
  const input = h("input", { type: "radio", name: "operation", value, checked });
  return { input, element: h("label", { class: "check" }, input, ` ${text}`) };
}

/** @param {Field} field @param {unknown} value its present one */
function fieldInput(field, value) {
  const id = `adjust-${field.name}`;
  const input = inputElement(field, id);
  input.value = formText(field, value);
  const label = h("label", { for: id, text: field.name });
  return { name: field.name, input, element: h("div", { class: "field" }, label, input) };
}

/** @param {Field} field @param {string} id */
function inputElement(field, id) {
  if (field.kind === "text")
    return h("input", { id, autocomplete: "off", spellcheck: "false", maxlength: "1024", dir: "auto" });
  if (field.kind === "json") return h("textarea", { id, rows: "3", spellcheck: "false", class: "code" });
  const choices = field.choices.map((text) => h("option", { value: text, text }));
  return h("select", { id }, h("option", { value: "", text: "not set" }), ...choices);
}

/** @param {Field} field @param {unknown} value its present one */
function fieldCheckbox(field, value) {
  const input = h("input", { type: "checkbox", value: field.name });
  const present = externalText(truncate(formText(field, value), 80), { class: "muted" });
  return { name: field.name, input, element: h("label", { class: "check" }, input, ` ${field.name} `, present) };
}
