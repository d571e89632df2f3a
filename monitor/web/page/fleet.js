/**
 * What is true now, as the stream says it: controllers and their images. The only place that changes them.
 * Knows no DOM and no network. Entries are replaced, never altered, so whoever drew one can see that it is the same.
 */

import { note } from "./rate.js";

/**
 * @typedef {object} Entry
 * @property {string} key controller and uuid, the same as long as the image is there
 * @property {string} controller
 * @property {object} image as in the contract of GET /api/events
 * @property {import("./rate.js").Samples} samples
 */

/** @typedef {{kind: "failed" | "completed" | "down" | "up", name: string, controller: string}} Happening */

export function keyOf(controller, uuid) {
  return `${encodeURIComponent(controller)}/${encodeURIComponent(uuid)}`;
}

export class Fleet {
  /** @type {Map<string, object>} health by the controller's name */
  controllers = new Map();
  /** @type {Map<string, Entry>} */
  entries = new Map();
  /** Whether anything was told yet. */
  known = false;

  /**
   * Everything anew.
   * @param {{now: number, parts: object[]}} message
   * @returns {Happening[]} what is other than before; nothing the first time
   */
  replace({ now, parts }) {
    const before = { controllers: this.controllers, entries: this.entries };
    const happened = [];
    this.controllers = new Map();
    this.entries = new Map();
    for (const part of parts) this.#take(part, now, before, happened);
    const first = !this.known;
    this.known = true;
    return first ? [] : happened;
  }

  /**
   * One part that is other now.
   * @param {{now: number, part: object}} message
   * @returns {Happening[]}
   */
  change({ now, part }) {
    const happened = [];
    if (part.removed) this.#remove(part.controller);
    else this.#take(part, now, this, happened);
    for (const uuid of part.gone ?? []) this.entries.delete(keyOf(part.controller, uuid));
    return happened;
  }

  #take(part, now, before, happened) {
    const name = part.controller;
    const healthBefore = before.controllers.get(name);
    const health = part.health ?? healthBefore;
    if (health) this.controllers.set(name, health);
    if (healthBefore && health && healthBefore.up !== health.up) {
      happened.push({ kind: health.up ? "up" : "down", name, controller: name });
    }
    for (const image of part.images ?? []) {
      const key = keyOf(name, image.uuid);
      const known = before.entries.get(key);
      const samples = note(known?.samples ?? [], now, image.progress_ratio);
      this.entries.set(key, { key, controller: name, image, samples });
      const ended = image.state === "failed" || image.state === "completed";
      if (known && ended && known.image.state !== image.state) {
        happened.push({ kind: image.state, name: image.name, controller: name });
      }
    }
  }

  #remove(controller) {
    this.controllers.delete(controller);
    for (const [key, entry] of this.entries) if (entry.controller === controller) this.entries.delete(key);
  }
}
