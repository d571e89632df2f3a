/** Reads a route anew when what it tells of has changed: one request at a time, no more often than one can read. */

const REST_MS = 1500;

export class Follow {
  #abort = new AbortController();
  #running = false;
  #again = false;

  /**
   * @param {(signal: AbortSignal) => Promise<any>} ask
   * @param {(answer: any) => void} take
   * @param {(error: Error) => void} fail
   * @param {number} [rest] milliseconds from one answer to the next question
   */
  constructor(ask, take, fail, rest = REST_MS) {
    Object.assign(this, { ask, take, fail, rest });
  }

  /** It may be other now. */
  async poke() {
    this.#again = true;
    if (this.#running) return;
    this.#running = true;
    while (this.#again && !this.#abort.signal.aborted) {
      this.#again = false;
      await this.#once();
      await new Promise((resolve) => setTimeout(resolve, this.rest));
    }
    this.#running = false;
  }

  async #once() {
    const { signal } = this.#abort;
    try {
      const answer = await this.ask(signal);
      if (!signal.aborted) this.take(answer);
    } catch (error) {
      if (!signal.aborted) this.fail(error);
    }
  }

  stop() {
    this.#abort.abort();
  }
}
