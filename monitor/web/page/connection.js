/** Shows the state of the connection: a word in the head; while it is lost, a banner; without a token, a form. */

import { find, h, setText, setTime, setVisible } from "./dom.js";
import { problemBox } from "./problem.js";
import { ProblemResponse } from "./api.js";
import { signInForm } from "./signin.js";
import { clockTime, formatDuration, truncate } from "./format.js";

/** @import { Announcer } from "./announce.js" */
/** @import { Problem } from "./api.js" */
/** @import { Clock } from "./clock.js" */
/** @import { EventStream, StreamStatus } from "./stream.js" */

const SHOW_LOST_AFTER_S = 1.5; // a daemon that reloads its configuration is back earlier

const LABELS = { live: "Live", lost: "Not connected", locked: "Token needed", connecting: "Connecting" };

/**
 * @typedef {object} ConnectionParts
 * @property {HTMLElement} banner
 * @property {HTMLElement} indicator
 * @property {HTMLElement} locked holds the form for a token
 * @property {EventStream} stream
 * @property {Clock} clock
 * @property {() => number} stopwatch
 * @property {Announcer} announcer
 * @property {(token: string) => void} signIn
 */

export class Connection {
  #alert = h("strong", { role: "alert" });
  #since = h("span");
  #asOfTime = h("time");
  #asOf = h("span", {}, "; the data shown is as of ", this.#asOfTime);
  #next = h("span");
  #why = h("span", { class: "muted" });
  /** The problem that the form for a token shows. @type {Problem | null} */
  #lockedBy = null;
  #isLostShown = false;

  /** @param {ConnectionParts} parts */
  constructor(parts) {
    this.parts = parts;
    const button = h("button", { type: "button", text: "Retry now", on: { click: () => parts.stream.reconnect() } });
    const line = h("p", {}, this.#alert, this.#since, this.#asOf, this.#next, this.#why);
    parts.banner.append(line, button);
    this.label = find(parts.indicator, "span:last-child", HTMLSpanElement);
  }

  /** Called once a second, and when the status changed. */
  draw() {
    const { banner, clock, stopwatch, stream } = this.parts;
    const { status } = stream;
    const lostFor = stopwatch() - status.since;
    const down = status.kind === "connecting" || status.kind === "waiting";
    const lost = down && (lostFor > SHOW_LOST_AFTER_S || Boolean(status.problem));
    this.#drawIndicator(status, lost);
    this.#drawLocked(status);
    setVisible(banner, lost && (clock.isSet || status.kind === "waiting" || this.#isLostShown));
    if (lost) this.#drawLost(status, lostFor);
    if (this.#isLostShown && status.kind === "live") this.#announceReconnected();
  }

  /** @param {StreamStatus} status @param {boolean} lost */
  #drawIndicator(status, lost) {
    const kind = lost ? "lost" : status.kind === "waiting" ? "connecting" : status.kind;
    this.parts.indicator.dataset["state"] = kind;
    setText(this.label, LABELS[kind]);
  }

  /** @param {StreamStatus} status @param {number} lostFor seconds */
  #drawLost({ kind, problem, retryAt }, lostFor) {
    const { clock, stopwatch } = this.parts;
    const { now } = clock;
    this.#isLostShown = true;
    const refused = problem?.status === 403 || problem?.status === 429;
    const lost = now === null ? `No connection to ${location.host}` : "Connection lost";
    const since = now === null ? " yet; there is no data to show" : ` ${formatDuration(lostFor)} ago`;
    setText(this.#alert, refused ? "The daemon refuses this page's requests" : lost);
    setText(this.#since, refused ? "" : since);
    setVisible(this.#asOf, now !== null);
    if (now !== null) setTime(this.#asOfTime, now, clockTime(now));
    const left = Math.max(0, Math.ceil((retryAt ?? 0) - stopwatch()));
    setText(this.#next, kind === "waiting" ? `; retrying in ${formatDuration(left)}.` : "; retrying now.");
    setText(this.#why, problem ? reasonText(problem) : "");
  }

  #announceReconnected() {
    this.#isLostShown = false;
    setText(this.#alert, "");
    this.parts.announcer.announce("Connected again", true);
  }

  /** @param {StreamStatus} status */
  #drawLocked({ kind, problem }) {
    const { locked } = this.parts;
    if (kind === "connecting" && this.#lockedBy) return; // keep the form until the new token is accepted
    if (kind !== "locked") {
      if (this.#lockedBy) locked.replaceChildren();
      this.#lockedBy = null;
    } else if (problem && this.#lockedBy !== problem) {
      this.#lockedBy = problem;
      locked.replaceChildren(this.#tokenPanel(problem));
      setVisible(locked, true); // before focus(): a hidden element cannot have it
      find(locked, "input", HTMLInputElement).focus();
    }
    setVisible(locked, Boolean(this.#lockedBy));
  }

  /** @param {Problem} problem */
  #tokenPanel(problem) {
    return h(
      "section",
      { class: "panel narrow", "aria-labelledby": "locked-title" },
      h("h1", { id: "locked-title", text: "A token is needed" }),
      h("p", { text: "The daemon shows its data only to clients with a token. Its response:" }),
      problemBox(new ProblemResponse(problem, null)),
      signInForm(this.parts.signIn),
    );
  }
}

/** @param {Problem} problem */
function reasonText({ title, detail, request_id: request }) {
  const details = detail && `: ${truncate(detail, 300)}`;
  return ` Its response: ${title}${details}${request ? ` (request ${request})` : ""}`;
}
