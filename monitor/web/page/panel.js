/** A section of a view, with its heading. */

import { h } from "./dom.js";

/** @param {string} title @param {HTMLElement} child */
export function panel(title, child) {
  const id = `part-${title.toLowerCase().replaceAll(" ", "-")}`;
  return h("section", { class: "panel", "aria-labelledby": id }, h("h2", { id, text: title }), child);
}
