/** The forms in which a change is entered. Each gives `element` and `body()`, which throws words for the person. */

import { foreign, h, show } from "./dom.js";
import { annotateBody, entered, FIELDS, setBody, unsetBody } from "./patch-body.js";
import { clip } from "./format.js";

/** @returns {{element: Element, body: () => object, query: () => object}} */
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
      text: "Such as change, owner or ticket: letters, digits and . _ / - A key that is there gets the new value.",
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

/** @param {object} raw the image as it is @param {boolean} active whether it is being processed */
export function adjustForm(raw, active) {
  const setting = radio("Set values", "set", true);
  const unsetting = radio("Unset fields", "unset", false);
  const fields = FIELDS.map((field) => fieldOf(field, raw[field.name]));
  const boxes = FIELDS.filter(({ name }) => raw[name] !== undefined && raw[name] !== null).map((field) =>
    boxOf(field, raw[field.name]),
  );
  const sets = h("div", { class: "stack" }, ...fields.map(({ element }) => element));
  const unsets = h("div", { class: "stack", hidden: true }, ...boxes.map(({ element }) => element));
  const force = h("input", { type: "checkbox", id: "adjust-force" });
  const forced = h("label", { class: "check", hidden: !active }, force, " Also while it is being processed (force)");
  const isSet = () => setting.input.checked;
  const operation = h(
    "fieldset",
    {},
    h("legend", { text: "What to do: one of them at a time" }),
    setting.element,
    unsetting.element,
  );
  operation.addEventListener("change", () => (show(sets, isSet()), show(unsets, !isSet())));
  const element = h("div", { class: "stack" }, operation, sets, unsets, forced);
  const texts = () => Object.fromEntries(fields.map(({ name, input }) => [name, input.value]));
  const chosen = () => boxes.filter(({ input }) => input.checked).map(({ name }) => name);
  return {
    element,
    body: () => (isSet() ? setBody(raw, texts()) : unsetBody(chosen())),
    query: () => (force.checked ? { force: "true" } : {}),
  };
}

function radio(text, value, checked) {
  const input = h("input", { type: "radio", name: "operation", value, checked });
  return { input, element: h("label", { class: "check" }, input, ` ${text}`) };
}

function fieldOf(field, value) {
  const id = `adjust-${field.name}`;
  const input = inputOf(field, id);
  input.value = entered(field, value);
  return {
    name: field.name,
    input,
    element: h("div", { class: "field" }, h("label", { for: id, text: field.name }), input),
  };
}

function inputOf(field, id) {
  if (field.kind === "text")
    return h("input", { id, autocomplete: "off", spellcheck: "false", maxlength: "1024", dir: "auto" });
  if (field.kind === "json") return h("textarea", { id, rows: "3", spellcheck: "false", class: "code" });
  return h(
    "select",
    { id },
    h("option", { value: "", text: "not set" }),
    ...field.choices.map((text) => h("option", { value: text, text })),
  );
}

function boxOf(field, value) {
  const input = h("input", { type: "checkbox", value: field.name });
  const now = foreign(clip(entered(field, value), 80), { class: "muted" });
  return { name: field.name, input, element: h("label", { class: "check" }, input, ` ${field.name} `, now) };
}
