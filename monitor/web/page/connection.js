/** Says how the connection is: a word in the head while it is good, else a banner, or a form where a token is needed. */

import { h, say, setTime, show } from "./dom.js";
import { problemBox } from "./problem.js";
import { Refused } from "./api.js";
import { signInForm } from "./signin.js";
import { clip, clockTime, duration } from "./format.js";

const PATIENCE_S = 1.5; // a daemon that reads its configuration anew is back before that

export class Connection {
  #alert = h("strong", { role: "alert" });
  #since = h("span");
  #asOf = h("span", {}, "; what you see is as of ", h("time"));
  #next = h("span");
  #why = h("span", { class: "muted" });
  #locked = null;
  #toldLost = false;

  /**
   * @param {{banner: Element, word: Element, locked: Element, stream: import("./stream.js").Stream,
   *   clock: import("./clock.js").Clock, stopwatch: () => number, announcer: import("./announce.js").Announcer,
   *   signIn: (token: string) => void}} parts
   */
  constructor(parts) {
    Object.assign(this, parts);
    const button = h("button", { type: "button", text: "Try now", on: { click: () => this.stream.again() } });
    const line = h("p", {}, this.#alert, this.#since, this.#asOf, this.#next, this.#why);
    this.banner.append(line, button);
  }

  /** Once a second, and whenever it changed. */
  draw() {
    const { status } = this.stream;
    const gone = this.stopwatch() - status.since;
    const lost = status.kind !== "live" && status.kind !== "locked" && (gone > PATIENCE_S || Boolean(status.problem));
    this.#drawWord(status, lost);
    this.#drawLocked(status);
    show(this.banner, lost && (this.clock.known || status.kind === "waiting" || this.#toldLost));
    if (lost) this.#drawLost(status, gone);
    if (!lost && this.#toldLost && status.kind === "live") this.#found();
  }

  #drawWord(status, lost) {
    const kind = lost ? "lost" : status.kind === "waiting" ? "connecting" : status.kind;
    const words = { live: "Live", lost: "Not connected", locked: "Token needed", connecting: "Connecting" };
    this.word.dataset.state = kind;
    say(this.word.lastElementChild, words[kind]);
  }

  #drawLost(status, gone) {
    const known = this.clock.known;
    this.#toldLost = true;
    const refused = status.problem?.status === 403 || status.problem?.status === 429;
    say(
      this.#alert,
      refused
        ? "The daemon does not let this page in"
        : known
          ? "Connection lost"
          : `No connection to ${location.host}`,
    );
    say(this.#since, refused ? "" : known ? ` ${duration(gone)} ago` : " yet; there is nothing to show");
    show(this.#asOf, known);
    if (known) setTime(this.#asOf.lastElementChild, this.clock.now, clockTime(this.clock.now));
    const left = (status.retryAt ?? 0) - this.stopwatch();
    say(
      this.#next,
      status.kind === "waiting"
        ? `; trying again in ${duration(Math.max(0, Math.ceil(left)))}.`
        : "; trying again now.",
    );
    const { problem } = status;
    const asked = problem?.request_id ? ` (request ${problem.request_id})` : "";
    say(
      this.#why,
      problem ? ` It says: ${problem.title}${problem.detail && `: ${clip(problem.detail, 300)}`}${asked}` : "",
    );
  }

  #found() {
    this.#toldLost = false;
    say(this.#alert, "");
    this.announcer.say("Connected again", true);
  }

  #drawLocked(status) {
    if (status.kind === "connecting" && this.#locked) return; // until it is known whether the token is good
    if (status.kind !== "locked") {
      if (this.#locked) this.locked.replaceChildren();
      this.#locked = null;
    } else if (this.#locked !== status.problem) {
      this.#locked = status.problem;
      this.locked.replaceChildren(this.#ask(status.problem));
      show(this.locked, true); // what is hidden takes no focus
      this.locked.querySelector("input").focus();
    }
    show(this.locked, Boolean(this.#locked));
  }

  #ask(problem) {
    return h(
      "section",
      { class: "panel narrow", "aria-labelledby": "locked-title" },
      h("h1", { id: "locked-title", text: "A token is needed" }),
      h("p", { text: "The daemon lets in nobody whom it does not know. It says:" }),
      problemBox(new Refused(problem, null)),
      signInForm(this.signIn),
    );
  }
}
