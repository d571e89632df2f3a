/** A progress bar, built from plain elements: browsers draw <progress> too differently. */

import { h, setAttr, setText } from "./dom.js";
import { formatPercent, isKnown } from "./format.js";

export class ProgressBar {
  #fill = h("div", { class: "fill" });
  #number = h("span", { class: "number" });
  #track = h("div", { class: "track", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" }, this.#fill);
  element = h("div", { class: "bar" }, this.#track, this.#number);

  /** Make the next update at once, without a transition: the bar is reused for another image. */
  skipTransition() {
    this.#fill.style.transition = "none";
    requestAnimationFrame(() => (this.#fill.style.transition = ""));
  }

  /**
   * @param {{progress_ratio: number | null}} of an image or a unit
   * @param {string} state as text
   * @param {string} label what it is the progress of
   */
  update({ progress_ratio: ratio }, state, label) {
    setAttr(this.#track, "aria-label", label);
    setAttr(this.#track, "aria-valuenow", isKnown(ratio) ? Math.floor(ratio * 100) : null);
    setAttr(this.#track, "aria-valuetext", isKnown(ratio) ? `${formatPercent(ratio)}, ${state}` : "progress not known");
    setAttr(this.#track, "data-state", state);
    const scale = `scaleX(${isKnown(ratio) ? Math.min(1, Math.max(0, ratio)) : 0})`;
    if (this.#fill.style.transform !== scale) this.#fill.style.transform = scale;
    setText(this.#number, formatPercent(ratio));
  }
}
