/** The upgrades above the list of images: one line for each controller on which something moves, or ended badly. */

import { externalText, h, setAttr, setChildren, setText, setTime, setVisible } from "./dom.js";
import { GLYPHS } from "./status.js";
import { headline, outcomeText, progressText, versionsText } from "./upgrade-status.js";
import { ABSENCE_STANDINGS, absenceOf, timeLeft } from "./upgrade-time.js";
import { needsStrip } from "./upgrades.js";
import { upgradeHref } from "./place.js";
import { truncate } from "./format.js";

/** @import { TimeLeft } from "./upgrade-time.js" */
/** @import { ControllerUpgrade } from "./upgrades.js" */

const MAX_STRIPS = 12; // the images must stay in sight; more are folded

export class UpgradeStrips {
  /** By the controller's name. @type {Map<string, Strip>} */
  #strips = new Map();
  #list = h("ul", { class: "upgrades", role: "list", "aria-label": "Upgrades" });
  #folded = h("ul", { class: "upgrades", role: "list", "aria-label": "More upgrades" });
  #summary = h("summary");
  #details = h("details", {}, this.#summary, this.#folded);

  /** @param {HTMLElement} place */
  constructor(place) {
    place.append(this.#list, this.#details);
  }

  /** @param {Map<string, ControllerUpgrade>} upgrades @param {number} now */
  draw(upgrades, now) {
    const shown = [...upgrades].filter(([, upgrade]) => needsStrip(upgrade));
    const strips = shown.map(([name, upgrade]) => {
      const strip = this.#strips.get(name) ?? new Strip(name);
      this.#strips.set(name, strip);
      strip.draw(upgrade, now);
      return strip;
    });
    strips.sort((a, b) => Number(b.needsOperator) - Number(a.needsOperator) || (a.name < b.name ? -1 : 1));
    const elements = strips.map(({ element }) => element);
    setChildren(this.#list, elements.slice(0, MAX_STRIPS));
    setChildren(this.#folded, elements.slice(MAX_STRIPS));
    setText(this.#summary, `${elements.length - MAX_STRIPS} more`);
    setVisible(this.#list, elements.length > 0);
    setVisible(this.#details, elements.length > MAX_STRIPS);
    for (const name of this.#strips.keys()) if (!upgrades.has(name)) this.#strips.delete(name);
  }
}

class Strip {
  needsOperator = false;
  #glyph = h("span", { class: "glyph", "aria-hidden": "true" });
  #state = h("span");
  #badge = h("span", { class: "badge" }, this.#glyph, " ", this.#state);
  #versions = externalText("");
  #more = externalText("", { class: "muted" });
  #end = h("time");

  /** @param {string} name of the controller */
  constructor(name) {
    this.name = name;
    const link = h("a", { href: upgradeHref(name) }, "Upgrade of ", externalText(truncate(name, 80)));
    this.element = h(
      "li",
      { class: "upgrade-strip", "data-upgrade": name },
      this.#badge,
      link,
      this.#versions,
      this.#more,
      this.#end,
    );
  }

  /** @param {ControllerUpgrade} upgrade @param {number} now */
  draw(upgrade, now) {
    const { status, health } = upgrade;
    const { text, standing } = headline(upgrade);
    const absence = absenceOf(status, health, now);
    const look = absence ? ABSENCE_STANDINGS[absence.level] : standing;
    this.needsOperator = standing === "failed" || absence?.level === "too-late";
    setAttr(this.element, "data-phase", status.phase);
    setAttr(this.#badge, "data-state", look);
    setText(this.#glyph, GLYPHS[look]);
    setText(this.#state, absence ? absence.what : text);
    setText(this.#versions, versionsText(upgrade));
    const texts = absence ? [absence.since] : [progressText(upgrade), outcomeText(upgrade)];
    setText(this.#more, texts.filter(Boolean).join("; "));
    const left = absence ? null : timeLeft(upgrade, now);
    setTime(this.#end, left?.at ?? null, left ? endText(left) : "");
  }
}

/** @param {TimeLeft} left */
function endText({ at, text, of }) {
  if (at === null) return "end not known yet";
  const verb = of ? "Controllers end" : "ends";
  return text === "overdue" ? "overdue" : `${verb} ${text}`;
}
