/** Labelled facts of a list `dl`: each is hidden while it is empty. */

import { h, setText, setTime, setVisible } from "./dom.js";

/** A labelled text, hidden while it is empty. @param {string} label */
export function textFact(label) {
  const value = h("span");
  const { elements, setShown } = pair(label, value);
  setShown(false);
  /** @param {string} text */
  const set = (text) => {
    setText(value, text);
    setShown(text !== "");
  };
  return { elements, set };
}

/** A labelled time, hidden while its text is empty. @param {string} label */
export function timeFact(label) {
  const value = h("time");
  const { elements, setShown } = pair(label, value);
  setShown(false);
  /** @param {number | null} at @param {string} text */
  const set = (at, text) => {
    setTime(value, at, text);
    setShown(text !== "");
  };
  return { elements, set };
}

/** @param {string} label @param {HTMLElement} value */
function pair(label, value) {
  const elements = [h("dt", { text: label }), h("dd", {}, value)];
  /** @param {boolean} shown */
  const setShown = (shown) => elements.forEach((each) => setVisible(each, shown));
  return { elements, setShown };
}
