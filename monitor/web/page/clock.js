/**
 * What time it is for the daemon. A wrong clock of the reader's machine does no harm, as only the time that has gone
 * since the last message is taken from it. Stands still while the connection is lost: what is shown is as of then.
 */

export class Clock {
  #at = null; // the daemon's time, as it last said
  #read = 0; // our stopwatch at that moment
  #heard = 0; // our stopwatch when the last byte came
  #stands = false;

  /** @param {() => number} stopwatch seconds that never go back */
  constructor(stopwatch) {
    this.stopwatch = stopwatch;
  }

  /** The daemon said what time it is. @param {number} now Unix seconds */
  set(now) {
    this.#at = now;
    this.#read = this.stopwatch();
    this.hear();
  }

  /** Something came, if only a heartbeat. */
  hear() {
    this.#heard = this.stopwatch();
    this.#stands = false;
  }

  /** The connection is lost. */
  stop() {
    this.#stands = true;
  }

  /** Whether the daemon ever said what time it is. */
  get known() {
    return this.#at !== null;
  }

  /** The moment that what is shown is as of: Unix seconds; null before the first message. */
  get now() {
    if (this.#at === null) return null;
    return this.#at + ((this.#stands ? this.#heard : this.stopwatch()) - this.#read);
  }

  /** Seconds since something came. */
  get silence() {
    return this.stopwatch() - this.#heard;
  }
}
