/**
 * The connection to GET /api/events: opens it, watches it, reconnects. Knows no fleet and no DOM.
 * Uses fetch, because EventSource cannot send a token, nor tell a 401 from a daemon that is down.
 */

import { readProblem } from "./api.js";
import { retryDelay } from "./backoff.js";
import { SseParser } from "./sse.js";
import { authHeaders } from "./token.js";

/** @import { Problem } from "./api.js" */

const SILENCE_TIMEOUT_S = 30; // three heartbeats
const SUSPECT_AFTER_S = 12; // more than one heartbeat: after a suspend, the connection is then replaced at once
const STEADY_AFTER_S = 5; // a connection that ends earlier counts as a failure

/**
 * @typedef {object} StreamStatus
 * @property {"connecting" | "live" | "waiting" | "locked"} kind `locked`: 401; no attempt until a token is entered
 * @property {number} since by the stopwatch: when this status began; after a loss, when the connection was lost
 * @property {number} [retryAt] by the stopwatch
 * @property {Problem | undefined} [problem] where the daemon refused
 */

/** @typedef {{status?: number, retryAfter?: number | null, problem?: Problem}} Outcome  of a connection */

/**
 * @typedef {object} Hooks
 * @property {() => number} stopwatch seconds, monotonic
 * @property {(event: string, data: any) => void} onMessage
 * @property {() => void} onBytes after the messages in them
 * @property {(status: StreamStatus) => void} onStatus
 */

export class EventStream {
  /** @type {string | null} */
  #lastId = null;
  #failures = 0;
  #receivedAt = 0;
  /** @type {number | null} */
  #lostAt = null;
  /** @type {AbortController | null} */
  #connection = null;
  /** Ends the wait. @type {(() => void) | null} */
  #wake = null;
  #checkedAt = 0;
  #reconnecting = false; // at once, when the connection under way has ended
  /** @type {StreamStatus} */
  status = { kind: "connecting", since: 0 };

  /** @param {string} url @param {Hooks} hooks */
  constructor(url, hooks) {
    this.url = url;
    this.hooks = hooks;
  }

  /** Runs for the life of the page. */
  async run() {
    for (;;) {
      const outcome = await this.#connect();
      if (this.#reconnecting) continue;
      if (outcome.status === 401) {
        this.#setStatus({ kind: "locked", problem: outcome.problem });
        await this.#wait(null);
      } else {
        const delay = retryDelay(this.#failures, Math.random(), outcome);
        this.#setStatus({ kind: "waiting", problem: outcome.problem, retryAt: this.hooks.stopwatch() + delay });
        await this.#wait(delay * 1000);
      }
    }
  }

  /**
   * Connect at once: the person asks for it, or entered a token.
   * @param {{fromScratch?: boolean}} [how] close the connection and request a full state: a new token may see another
   *   fleet
   */
  reconnect({ fromScratch = false } = {}) {
    if (fromScratch) {
      this.#lastId = null;
      this.#reconnecting = true;
      this.#connection?.abort();
    }
    this.#failures = 0;
    this.#wake?.();
  }

  /** The machine woke up, or the network is back: connect at once if waiting, or if the connection seems dead. */
  checkConnection() {
    const now = this.hooks.stopwatch();
    if (now - this.#checkedAt < 1) return; // the browser often sends two such events together
    this.#checkedAt = now;
    if (this.status.kind === "waiting") this.#wake?.();
    else if (this.status.kind === "live" && this.#silentFor() > SUSPECT_AFTER_S) this.#connection?.abort();
  }

  /** One connection, to its end. @returns {Promise<Outcome>} */
  async #connect() {
    this.#reconnecting = false;
    this.#setStatus({ kind: "connecting" });
    const connection = new AbortController();
    this.#connection = connection;
    const startedAt = this.hooks.stopwatch();
    let clean = false;
    this.#receivedAt = startedAt;
    const watchdog = setInterval(() => this.#silentFor() > SILENCE_TIMEOUT_S && connection.abort(), 1000);
    try {
      const response = await fetch(this.url, {
        headers: this.#headers(),
        cache: "no-store",
        signal: connection.signal,
      });
      if (!response.ok) {
        const { problem, retryAfter } = await readProblem(response);
        return { status: response.status, retryAfter, problem };
      }
      if (response.body) await this.#readMessages(response.body);
      clean = true;
    } catch {
      // down, silent or cut off: reconnect, whatever it was
    } finally {
      clearInterval(watchdog);
      this.#lostAt ??= this.#silentFor() > SILENCE_TIMEOUT_S ? this.#receivedAt : this.hooks.stopwatch();
      connection.abort();
      const steady = this.status.kind === "live" && this.hooks.stopwatch() - startedAt > STEADY_AFTER_S;
      this.#failures = steady ? Number(!clean) : this.#failures + 1;
    }
    return {};
  }

  #silentFor() {
    return this.hooks.stopwatch() - this.#receivedAt;
  }

  /** @returns {Record<string, string>} */
  #headers() {
    const headers = { Accept: "text/event-stream", ...authHeaders() };
    return this.#lastId === null ? headers : { ...headers, "Last-Event-ID": this.#lastId };
  }

  /** @param {ReadableStream<Uint8Array<ArrayBuffer>>} body */
  async #readMessages(body) {
    const parser = new SseParser();
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      this.#receivedAt = this.hooks.stopwatch();
      const messages = parser.feed(value); // all of them before the status is "live" and the page draws
      this.#setLive();
      for (const message of messages) this.#handle(message);
      this.hooks.onBytes();
    }
  }

  #setLive() {
    if (this.status.kind === "live") return;
    this.#lostAt = null;
    this.#setStatus({ kind: "live" });
  }

  /** @param {import("./sse.js").Message} message */
  #handle({ event, data, id }) {
    try {
      this.hooks.onMessage(event, JSON.parse(data));
    } catch (error) {
      this.#lastId = null; // the fleet may be wrong now: request a full state
      console.error(error); // a bug of the daemon or of this page; it is reported nowhere else
      throw error;
    }
    if (id !== undefined) this.#lastId = id;
  }

  /** @param {Omit<StreamStatus, "since">} status */
  #setStatus(status) {
    this.status = { since: this.#lostAt ?? this.hooks.stopwatch(), ...status };
    this.hooks.onStatus(this.status);
  }

  /** Wait until the time is over, or until #wake is called. @param {number | null} ms null: no time limit */
  #wait(ms) {
    return /** @type {Promise<void>} */ (
      new Promise((resolve) => {
        const timer = ms === null ? 0 : setTimeout(resolve, ms);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      })
    );
  }
}
