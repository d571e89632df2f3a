/** Making and touching elements. Foreign text only ever becomes a text node; nothing here reads HTML. */

import { clockTime, count, isTime, utc } from "./format.js";

/**
 * Make an element.
 * @param {string} tag
 * @param {object} [props] attributes, `text`, `on: {type: listener}`; null, undefined and false are left out
 * @param {...(Node | string | null)} children
 */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);
}

function fill(element, { text, on, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) mark(element, name, value);
  for (const [type, listener] of Object.entries(on ?? {})) element.addEventListener(type, listener);
  if (text !== undefined) element.textContent = text;
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Set the text, if it is another one. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Set an attribute, or take it away with null or false, if it is another one. */
export function mark(element, name, value) {
  if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/** Show or hide. */
export function show(element, shown) {
  if (element.hidden === shown) element.hidden = !shown;
}

/** Foreign text, kept apart from the direction of what is around it. */
export function foreign(text, props = {}) {
  return h("bdi", { ...props, text });
}

/** A moment in words, with local time and UTC on hover. @param {number | null} at Unix seconds; null: the words alone */
export function timeOf(at, text = clockTime(at)) {
  const node = h("time");
  setTime(node, at, text);
  return node;
}

export function setTime(node, at, text) {
  const fits = isTime(at);
  mark(node, "datetime", fits ? new Date(at * 1000).toISOString() : null);
  mark(node, "title", fits ? `${clockTime(at, 0)} local, ${utc(at)}` : null);
  say(node, text);
}

/**
 * Foreign text of any length: what is long is cut, with a button that shows all of it.
 * @param {string} whole
 * @param {number} most characters that are shown at once
 */
export function longText(whole, most = 300) {
  if (whole.length <= most) return foreign(whole, { class: "foreign" });
  const text = foreign(`${whole.slice(0, most)}…`, { class: "foreign" });
  const button = h("button", { type: "button", class: "quiet", "aria-expanded": "false" });
  const label = () =>
    button.getAttribute("aria-expanded") === "true" ? "Show less" : `Show all ${count(whole.length)} characters`;
  button.textContent = label();
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!open));
    text.textContent = open ? `${whole.slice(0, most)}…` : whole;
    button.textContent = label();
  });
  return h("span", {}, text, " ", button);
}

/** Text for screen readers alone. */
export function unseen(text) {
  return h("span", { class: "unseen", text });
}
