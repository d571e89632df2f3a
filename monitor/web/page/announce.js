/** Announces changes to screen readers, through the page's only live region, no faster than they can be spoken. */

import { plural, truncate } from "./format.js";

/** @import { Transition } from "./fleet.js" */

const BATCH_DELAY_MS = 200; // what happens at the same time is announced together
const INTERVAL_MS = 4000; // about the time that it takes to speak one sentence
const MAX_SENTENCES = 3; // in one announcement; the others are only counted

/** @type {Record<Transition["kind"], (transition: Transition) => string>} */
const SENTENCES = {
  failed: ({ name, controller }) => `${truncate(name, 80)} failed on ${controller}`,
  completed: ({ name, controller }) => `${truncate(name, 80)} completed on ${controller}`,
  down: ({ controller }) => `${controller} is down`,
  up: ({ controller }) => `${controller} is up again`,
  upgrade: ({ name }) => name,
  "upgrade-failed": ({ name }) => name,
};

export class Announcer {
  /** @type {string[]} */
  #queue = [];
  /** @type {number | null} */
  #timer = null;

  /** @param {Element} region with aria-live */
  constructor(region) {
    this.region = region;
  }

  /** @param {Transition[]} transitions */
  announceTransitions(transitions) {
    for (const each of transitions) this.announce(SENTENCES[each.kind](each), each.kind.endsWith("failed"));
  }

  /** @param {string} sentence @param {boolean} [first] put it at the head of the queue */
  announce(sentence, first = false) {
    if (first) this.#queue.unshift(sentence);
    else this.#queue.push(sentence);
    this.#timer ??= setTimeout(() => this.#flush(), BATCH_DELAY_MS);
  }

  #flush() {
    this.#timer = null;
    if (!this.#queue.length) return;
    const sentences = this.#queue.slice(0, MAX_SENTENCES);
    const more = this.#queue.length - sentences.length;
    this.#queue = [];
    this.region.textContent = `${sentences.join(". ")}${more ? `. And ${plural(more, "more change")}` : ""}.`;
    this.#timer = setTimeout(() => this.#flush(), INTERVAL_MS);
  }
}
