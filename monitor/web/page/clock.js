/**
 * The daemon's time. The wall clock of the reader's machine is not used, so it may be wrong: only the time that elapsed
 * since the last message is measured here. The clock is stopped while the connection is lost.
 */

export class Clock {
  /** @type {number | null} */
  #daemonTime = null; // in the last message that had it
  #setAt = 0; // by the stopwatch: when #daemonTime came
  #receivedAt = 0; // by the stopwatch: when the last byte came
  #stopped = false;

  /** @param {() => number} stopwatch seconds, monotonic */
  constructor(stopwatch) {
    this.stopwatch = stopwatch;
  }

  /** @param {number} now the daemon's time, Unix seconds */
  set(now) {
    this.#daemonTime = now;
    this.#setAt = this.stopwatch();
    this.keepRunning();
  }

  /** Bytes arrived, perhaps only a heartbeat. */
  keepRunning() {
    this.#receivedAt = this.stopwatch();
    this.#stopped = false;
  }

  /** The connection was lost. */
  stop() {
    this.#stopped = true;
  }

  /** Whether the daemon has sent its time. */
  get isSet() {
    return this.#daemonTime !== null;
  }

  /** The time that the data on the page is as of: Unix seconds; null before the first message. */
  get now() {
    if (this.#daemonTime === null) return null;
    return this.#daemonTime + ((this.#stopped ? this.#receivedAt : this.stopwatch()) - this.#setAt);
  }
}
