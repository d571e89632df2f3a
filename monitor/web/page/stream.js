/**
 * The connection to GET /api/events: opens it, keeps it, takes it up again. Knows no fleet and no DOM.
 * Read with fetch, as EventSource can neither show a token nor tell 401 from a daemon that is away.
 */

import { refusal } from "./api.js";
import { waitAfter } from "./backoff.js";
import { SseParser } from "./sse.js";
import { credentials } from "./token.js";

const SILENT_S = 30; // three heartbeats
const STEADY_S = 5; // a connection that ends sooner is no sign that all is well
const SUSPECT_S = 12; // more than one heartbeat: after a sleep the connection is tried anew at once

/**
 * @typedef {object} Status
 * @property {"connecting" | "live" | "waiting" | "locked"} kind `locked`: 401; no try before there is another token
 * @property {number} since our stopwatch, seconds: when it came to be so; of a loss, when the connection was lost
 * @property {number} [retryAt] our stopwatch, seconds
 * @property {object} [problem] the daemon's words, where it refused
 */

export class Stream {
  #lastId = null;
  #failures = 0;
  #heardAt = 0;
  #lostAt = null;
  #attempt = null; // AbortController of the connection
  #wake = null; // ends the wait
  #pokedAt = 0;
  /** @type {Status} */
  status = { kind: "connecting", since: 0 };

  /**
   * @param {{route: string, stopwatch: () => number, take: (event: string, message: object) => void,
   *   hear: () => void, tell: (status: Status) => void}} hooks
   */
  constructor(hooks) {
    this.hooks = hooks;
  }

  /** Runs for as long as the page is there. */
  async run() {
    for (;;) {
      const answer = await this.#once();
      if (answer.status === 401) {
        this.#tell({ kind: "locked", problem: answer.problem });
        await this.#rest(null);
      } else {
        const wait = waitAfter(this.#failures, Math.random(), answer);
        this.#tell({ kind: "waiting", problem: answer.problem, retryAt: this.hooks.stopwatch() + wait });
        await this.#rest(wait * 1000);
      }
    }
  }

  /** Try at once: the person asks, or entered a token. `anew`: forget what was known; another token sees another fleet. */
  again({ anew = false } = {}) {
    if (anew) this.#lastId = null;
    if (anew) this.#attempt?.abort();
    this.#failures = 0;
    this.#wake?.();
  }

  /** The machine woke up, or the network came back: try at once what waits, and what is suspiciously silent. */
  nudge() {
    const now = this.hooks.stopwatch();
    if (now - this.#pokedAt < 1) return; // one event of the browser's often comes with another
    this.#pokedAt = now;
    if (this.status.kind === "waiting") this.#wake?.();
    else if (this.status.kind === "live" && this.#silentFor() > SUSPECT_S) this.#attempt?.abort();
  }

  /** One connection, to its end. @returns {Promise<{status?: number, retryAfter?: number | null, problem?: object}>} */
  async #once() {
    this.#tell({ kind: "connecting" });
    const attempt = new AbortController();
    this.#attempt = attempt;
    const begun = this.hooks.stopwatch();
    let clean = false;
    this.#heardAt = begun;
    const watch = setInterval(() => this.#silentFor() > SILENT_S && attempt.abort(), 1000);
    try {
      const response = await fetch(this.hooks.route, {
        headers: this.#headers(),
        cache: "no-store",
        signal: attempt.signal,
      });
      if (!response.ok) {
        const { problem, wait } = await refusal(response);
        return { status: response.status, retryAfter: wait, problem };
      }
      await this.#listen(response.body);
      clean = true;
    } catch {
      // away, silent, or broken off: all the same to who has to come again
    } finally {
      clearInterval(watch);
      this.#lostAt ??= this.#silentFor() > SILENT_S ? this.#heardAt : this.hooks.stopwatch();
      attempt.abort();
      const steady = this.status.kind === "live" && this.hooks.stopwatch() - begun > STEADY_S;
      this.#failures = steady ? Number(!clean) : this.#failures + 1;
    }
    return {};
  }

  #silentFor() {
    return this.hooks.stopwatch() - this.#heardAt;
  }

  #headers() {
    const resume = this.#lastId === null ? {} : { "Last-Event-ID": this.#lastId };
    return { Accept: "text/event-stream", ...credentials(), ...resume };
  }

  async #listen(body) {
    const parser = new SseParser();
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      this.#heardAt = this.hooks.stopwatch();
      const messages = parser.feed(value); // before anything is shown: what is not read yet is not known
      this.#live();
      for (const message of messages) this.#take(message);
      this.hooks.hear();
    }
  }

  #live() {
    if (this.status.kind === "live") return;
    this.#lostAt = null;
    this.#tell({ kind: "live" });
  }

  #take({ event, data, id }) {
    try {
      this.hooks.take(event, JSON.parse(data));
    } catch (error) {
      this.#lastId = null; // what we know may be wrong now: ask for all of it
      console.error(error); // the daemon's bug or ours: this is the one place where it shows
      throw error;
    }
    if (id !== undefined) this.#lastId = id;
  }

  #tell(status) {
    this.status = { since: this.#lostAt ?? this.hooks.stopwatch(), ...status };
    this.hooks.tell(this.status);
  }

  /** Wait so long, or until somebody wakes us. @param {number | null} ms null: for somebody alone */
  #rest(ms) {
    return new Promise((resolve) => {
      const timer = ms === null ? 0 : setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
