/** Creates and updates elements. External text only ever becomes a text node: nothing here parses HTML. */

import { clockTime, formatCount, isTime, utcTime } from "./format.js";

/** @typedef {string | number | boolean | null | undefined} Attribute  null, undefined and false: not there */
/** @typedef {Node | string | null | undefined} Child  null and undefined: not there */
/** @typedef {{text?: string, on?: {[event: string]: () => void}} & {[attribute: string]: unknown}} Props */

/**
 * Create an HTML element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Props} [props] attributes, `text`, and the listeners `on`
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  fill(element, props, children);
  return element;
}

/**
 * Create an SVG element.
 * @param {keyof SVGElementTagNameMap} tag
 * @param {Props} [props]
 * @param {...Child} children
 */
export function svg(tag, props = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  fill(element, props, children);
  return element;
}

/** @param {Element} element @param {Props} props @param {Child[]} children */
function fill(element, { text, on, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) setAttr(element, name, /** @type {Attribute} */ (value));
  for (const [event, listener] of Object.entries(on ?? {})) element.addEventListener(event, listener);
  if (text !== undefined) element.textContent = text;
  element.append(...children.filter((child) => child !== null && child !== undefined));
}

/**
 * An element that stands in index.html, or that was just made.
 * @template {Element} T
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => T} type
 * @returns {T}
 */
export function find(root, selector, type) {
  const found = root.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`the page has no ${type.name} ${selector}`);
  return found;
}

/** Set the text, if it differs. @param {Node} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Set or remove an attribute, if it differs. @param {Element} element @param {string} name @param {Attribute} value */
export function setAttr(element, name, value) {
  if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/**
 * Make these the only children, in this order; move only those that are elsewhere.
 * @param {HTMLElement} parent
 * @param {HTMLElement[]} elements
 */
export function setChildren(parent, elements) {
  const kept = new Set(elements);
  for (const child of [...parent.children]) if (!kept.has(/** @type {HTMLElement} */ (child))) child.remove();
  let next = parent.firstElementChild;
  for (const element of elements) {
    if (element === next) next = next.nextElementSibling;
    else if (element.isConnected && parent.moveBefore)
      parent.moveBefore(element, next); // keeps the focus
    else parent.insertBefore(element, next);
  }
}

/** @param {HTMLElement} element @param {boolean} visible */
export function setVisible(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}

/**
 * Text from outside, isolated so that its direction does not affect its surroundings.
 * @param {string} text
 * @param {Props} [props]
 */
export function externalText(text, props = {}) {
  return h("bdi", { ...props, text });
}

/** A time with a tooltip: local time and UTC. @param {number | null} at Unix seconds */
export function timeElement(at) {
  const element = h("time");
  setTime(element, at, clockTime(at));
  return element;
}

/** @param {HTMLTimeElement} element @param {number | null} at null: text without a tooltip @param {string} text */
export function setTime(element, at, text) {
  setAttr(element, "datetime", isTime(at) ? new Date(at * 1000).toISOString() : null);
  setAttr(element, "title", isTime(at) ? `${clockTime(at, 0)} local, ${utcTime(at)}` : null);
  setText(element, text);
}

/**
 * Text from outside, of any length: cut where it is long, with a button that shows all of it.
 * @param {string} whole
 * @param {number} max characters that are shown at first
 */
export function expandableText(whole, max) {
  if (whole.length <= max) return externalText(whole, { class: "external" });
  const cut = `${whole.slice(0, max)}…`;
  const text = externalText(cut, { class: "external" });
  const button = h("button", { type: "button", class: "quiet" });
  let expanded = false;
  const update = () => {
    setAttr(button, "aria-expanded", String(expanded));
    text.textContent = expanded ? whole : cut;
    button.textContent = expanded ? "Show less" : `Show all ${formatCount(whole.length)} characters`;
  };
  button.addEventListener("click", () => {
    expanded = !expanded;
    update();
  });
  update();
  return h("span", {}, text, " ", button);
}
