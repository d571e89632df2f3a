/**
 * The current state of the fleet, as the event stream reports it: controllers, their images and their upgrades. Nothing
 * else changes it. Knows nothing of DOM and network. Entries are replaced, never mutated, so views compare them by
 * identity.
 */

import { addSample } from "./rate.js";
import { announcements, applyUpgrade } from "./upgrades.js";

/** @import { Samples } from "./rate.js" */
/** @import { ControllerUpgrade } from "./upgrades.js" */

/**
 * @typedef {object} Entry
 * @property {string} key controller and uuid: constant for the life of the image
 * @property {string} controller
 * @property {ImageStatus} image
 * @property {Samples} samples
 */

/** @typedef {"failed" | "completed" | "down" | "up" | "upgrade" | "upgrade-failed"} TransitionKind */
/**
 * `name`: of an upgrade, what happened.
 * @typedef {{kind: TransitionKind, name: string, controller: string}} Transition
 */

/**
 * @typedef {object} Contents
 * @property {Map<string, ControllerHealth>} controllers
 * @property {Map<string, Entry>} entries
 * @property {Map<string, ControllerUpgrade>} upgrades
 */

/** @param {string} controller @param {string} uuid */
export function entryKey(controller, uuid) {
  return `${encodeURIComponent(controller)}/${encodeURIComponent(uuid)}`;
}

export class Fleet {
  /** Health by the controller's name. @type {Map<string, ControllerHealth>} */
  controllers = new Map();
  /** @type {Map<string, Entry>} */
  entries = new Map();
  /** By the controller's name; without those whose upgrades are not watched. @type {Map<string, ControllerUpgrade>} */
  upgrades = new Map();
  /** Whether any state has been applied. */
  loaded = false;

  /**
   * Replace all controllers and entries.
   * @param {StateMessage} state
   * @returns {Transition[]} since the last state or change; none for the first state
   */
  applyState({ now, parts }) {
    const before = { controllers: this.controllers, entries: this.entries, upgrades: this.upgrades };
    /** @type {Transition[]} */
    const transitions = [];
    this.controllers = new Map();
    this.entries = new Map();
    this.upgrades = new Map();
    for (const part of parts) this.#applyPart(part, now, before, transitions, { whole: true });
    const first = !this.loaded;
    this.loaded = true;
    return first ? [] : transitions;
  }

  /**
   * Replace what changed on one controller.
   * @param {ChangeMessage} change
   * @returns {Transition[]}
   */
  applyChange({ now, part }) {
    /** @type {Transition[]} */
    const transitions = [];
    if (part.removed) this.#remove(part.controller);
    else this.#applyPart(part, now, this, transitions, { whole: false });
    for (const uuid of part.resources?.image?.gone ?? []) this.entries.delete(entryKey(part.controller, uuid));
    return transitions;
  }

  /**
   * @param {Part} part
   * @param {number} now
   * @param {Contents} before
   * @param {Transition[]} transitions to append to
   * @param {{whole: boolean}} how `whole`: the part has everything about the controller
   */
  #applyPart(part, now, before, transitions, { whole }) {
    const name = part.controller;
    const upgradeBefore = before.upgrades.get(name);
    const upgrade = applyUpgrade(upgradeBefore, part, now, { whole });
    if (upgrade) this.upgrades.set(name, upgrade);
    else this.upgrades.delete(name);
    for (const { text, bad } of announcements(name, upgradeBefore, upgrade))
      transitions.push({ kind: bad ? "upgrade-failed" : "upgrade", name: text, controller: name });
    const healthBefore = before.controllers.get(name);
    const read = part.resources?.image;
    const health = part.session && read?.health ? { ...part.session, ...read.health } : healthBefore;
    if (health) this.controllers.set(name, health);
    const rebooting = (upgrade ?? upgradeBefore)?.status.phase === "away" || upgradeBefore?.status.phase === "away";
    if (healthBefore && health && healthBefore.up !== health.up && !rebooting) {
      transitions.push({ kind: health.up ? "up" : "down", name, controller: name });
    }
    for (const image of /** @type {ImageStatus[]} */ (read?.objects ?? [])) {
      const key = entryKey(name, image.uuid);
      const known = before.entries.get(key);
      const samples = addSample(known?.samples ?? [], now, image.progress_ratio);
      this.entries.set(key, { key, controller: name, image, samples });
      const { state } = image;
      if (known && known.image.state !== state && (state === "failed" || state === "completed")) {
        transitions.push({ kind: state, name: image.name, controller: name });
      }
    }
  }

  /** @param {string} controller */
  #remove(controller) {
    this.controllers.delete(controller);
    this.upgrades.delete(controller);
    for (const [key, entry] of this.entries) if (entry.controller === controller) this.entries.delete(key);
  }
}
