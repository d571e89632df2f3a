/** A progress bar: of the page's own making, as <progress> cannot be drawn alike in all browsers. */

import { h, mark, say } from "./dom.js";
import { isKnown, percent } from "./format.js";

export class Bar {
  #fill = h("div", { class: "fill" });
  #number = h("span", { class: "number" });
  #track = h("div", { class: "track", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" }, this.#fill);
  element = h("div", { class: "bar" }, this.#track, this.#number);

  /** It is that of another image from now on: it does not run there from where it was. */
  jump() {
    this.#fill.style.transition = "none";
    requestAnimationFrame(() => (this.#fill.style.transition = ""));
  }

  /** @param {string} label what it is the progress of */
  set(image, standing, label) {
    const ratio = image.progress_ratio;
    const known = isKnown(ratio);
    const text = known ? `${percent(ratio)}, ${standing}` : "progress not known";
    mark(this.#track, "aria-label", label);
    mark(this.#track, "aria-valuenow", known ? Math.floor(ratio * 100) : null);
    mark(this.#track, "aria-valuetext", text);
    mark(this.#track, "data-state", standing);
    const scale = `scaleX(${known ? Math.min(1, Math.max(0, ratio)) : 0})`;
    if (this.#fill.style.transform !== scale) this.#fill.style.transform = scale;
    say(this.#number, percent(ratio));
  }
}
