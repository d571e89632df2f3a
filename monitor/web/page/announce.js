/** Tells screen readers what changed, and no more than they can say: the one polite live region of the page. */

import { clip, many } from "./format.js";

const REST_MS = 4000; // about what it takes to say one sentence
const MOST = 3; // sentences at once; the others are counted

const WORDS = {
  failed: ({ name, controller }) => `${clip(name, 80)} failed on ${controller}`,
  completed: ({ name, controller }) => `${clip(name, 80)} completed on ${controller}`,
  down: ({ controller }) => `${controller} cannot be read`,
  up: ({ controller }) => `${controller} can be read again`,
};

export class Announcer {
  #waiting = [];
  #timer = null;

  /** @param {Element} region with aria-live */
  constructor(region) {
    this.region = region;
  }

  /** @param {import("./fleet.js").Happening[]} happened */
  tell(happened) {
    for (const each of happened) this.say(WORDS[each.kind](each), each.kind === "failed");
  }

  /** @param {string} sentence @param {boolean} [first] before what waits */
  say(sentence, first = false) {
    if (first) this.#waiting.unshift(sentence);
    else this.#waiting.push(sentence);
    this.#timer ??= setTimeout(() => this.#speak(), 200); // what comes together is said together
  }

  #speak() {
    this.#timer = null;
    if (!this.#waiting.length) return;
    const said = this.#waiting.slice(0, MOST);
    const more = this.#waiting.length - said.length;
    this.#waiting = [];
    this.region.textContent = `${said.join(". ")}${more ? `. And ${many(more, "more change")}` : ""}.`;
    this.#timer = setTimeout(() => this.#speak(), REST_MS);
  }
}
