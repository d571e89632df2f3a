/** The top of the view of an upgrade: from which version to which, how far it is, and how long Controllers are away. */

import { externalText, h, setAttr, setText, setTime, setVisible } from "./dom.js";
import { ageText, GLYPHS } from "./status.js";
import { stepsOf } from "./upgrade-steps.js";
import { headline, OPERATION_TEXTS, outcomeText, sentence, versionsText } from "./upgrade-status.js";
import { ABSENCE_STANDINGS, absenceOf, durationText, timeLeft } from "./upgrade-time.js";
import { clockTime } from "./format.js";

/** @import { Step, StepState } from "./upgrade-steps.js" */
/** @import { Headline } from "./upgrade-status.js" */
/** @import { Absence, TimeLeft } from "./upgrade-time.js" */
/** @import { ControllerUpgrade } from "./upgrades.js" */

/** @type {Record<StepState, {glyph: string, text: string}>} */
const STEP_STATES = {
  done: { glyph: "✓", text: "done" },
  warned: { glyph: "!", text: "done, with warnings" },
  current: { glyph: "▶", text: "under way" },
  failed: { glyph: "✕", text: "failed" },
  waiting: { glyph: "○", text: "to come" },
};

export class UpgradeHead {
  #versions = externalText("");
  #operation = h("span", { class: "muted" });
  #glyph = h("span", { "aria-hidden": "true" });
  #state = h("span");
  #badge = h("p", { class: "badge headline" }, this.#glyph, " ", this.#state);
  #outcomeText = externalText("");
  #outcome = h("p", {}, this.#outcomeText);
  #end = h("time");
  #range = h("span", { class: "muted" });
  #ends = h("p", {}, h("span", { class: "muted", text: "Time left: " }), this.#end, this.#range);
  #duration = h("p", { class: "muted" });
  #steps = h("ol", { class: "steps" });
  #stepsDrawn = "";
  #absenceGlyph = h("span", { "aria-hidden": "true" });
  #absenceText = h("span");
  #absence = h("p", { class: "absence" }, this.#absenceGlyph, " ", this.#absenceText);
  #age = h("p", { class: "warning" });
  element = h(
    "div",
    { class: "stack" },
    h("p", { class: "line versions" }, this.#versions, this.#operation),
    this.#badge,
    this.#absence,
    this.#age,
    this.#outcome,
    this.#steps,
    this.#ends,
    this.#duration,
  );

  /** @param {ControllerUpgrade} upgrade @param {ControllerHealth | undefined} health @param {number} now */
  draw(upgrade, health, now) {
    const { status } = upgrade;
    const absence = absenceOf(status, upgrade.health, now);
    /** @type {Headline} */
    const { text, standing, glyph } = absence
      ? { text: absence.what, standing: ABSENCE_STANDINGS[absence.level] }
      : headline(upgrade);
    setText(this.#versions, sentence(versionsText(upgrade)) || "Version not known");
    setText(this.#operation, status.operation ? (OPERATION_TEXTS[status.operation] ?? "unknown operation") : "");
    setAttr(this.#badge, "data-state", standing);
    setText(this.#glyph, glyph ?? GLYPHS[standing]);
    setText(this.#state, text);
    const outcome = outcomeText(upgrade);
    setText(this.#outcomeText, outcome);
    setVisible(this.#outcome, outcome !== "");
    this.#drawSteps(stepsOf(upgrade));
    this.#drawAbsence(absence);
    this.#drawAge(absence ? undefined : health, upgrade.health, now);
    this.#drawEnd(upgrade, now);
  }

  /** @param {Step[]} steps */
  #drawSteps(steps) {
    const signature = JSON.stringify(steps);
    if (signature === this.#stepsDrawn) return;
    this.#stepsDrawn = signature;
    this.#steps.replaceChildren(...steps.map((step) => stepElement(step)));
    setVisible(this.#steps, steps.length > 0);
  }

  /** @param {Absence | null} absence */
  #drawAbsence(absence) {
    setVisible(this.#absence, absence !== null);
    if (!absence) return;
    setAttr(this.#absence, "data-level", absence.level);
    setText(this.#absenceGlyph, GLYPHS[ABSENCE_STANDINGS[absence.level]]);
    setText(this.#absenceText, `${absence.what}${absence.advice}. ${absence.since}`);
  }

  /** @param {ControllerHealth | undefined} health @param {ReadStatus | null} read of the units @param {number} now */
  #drawAge(health, read, now) {
    const age = ageText(health && { ...health, seen_at: read?.seen_at ?? null }, now);
    setText(this.#age, age ? `The controller cannot be read; what you see is ${age}.` : "");
    setVisible(this.#age, age !== "");
  }

  /** @param {ControllerUpgrade} upgrade @param {number} now */
  #drawEnd(upgrade, now) {
    const duration = durationText(upgrade, now);
    setText(this.#duration, duration);
    setVisible(this.#duration, duration !== "");
    const left = timeLeft(upgrade, now);
    setVisible(this.#ends, left !== null);
    if (!left) return;
    setTime(this.#end, left.at, left.text.replace(/^in /, ""));
    setText(this.#range, rangeText(left, upgrade.status, now));
  }
}

/** What follows the time that is left. @param {TimeLeft} left @param {UpgradeStatus} status @param {number} now */
function rangeText({ at, text, of, range }, { away_since: away }, now) {
  if (at === null) return "; too little was seen to estimate it";
  const part = of ? " for the Controllers" : "";
  const moment = text === "overdue" ? "" : `, until ${clockTime(at, now)}`;
  const asOf = away === null ? "" : ", as estimated before they went away";
  const rest = of ? "; not known yet for the Service Engines" : "";
  return `${range && ` (${range})`}${part}${moment}${asOf}${rest}`;
}

/** @param {Step} step */
function stepElement({ name, state, text }) {
  const { glyph, text: inWords } = STEP_STATES[state];
  return h(
    "li",
    { "data-step": state, "aria-current": state === "current" ? "step" : null },
    h("span", { class: "glyph", "aria-hidden": "true", text: glyph }),
    h("span", { class: "step-name", text: name }),
    h("span", { class: "step-text", text: text ? sentence(text) : sentence(inWords) }),
    text && state !== "waiting" ? h("span", { class: "visually-hidden", text: `, ${inWords}` }) : null,
  );
}
