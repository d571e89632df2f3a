/** Loads a route again when the data behind it changed: one request at a time, at most one in each interval. */

const INTERVAL_MS = 1500;

/** @template T */
export class Refetcher {
  #abort = new AbortController();
  #running = false;
  #pending = false;

  /**
   * @param {(signal: AbortSignal) => Promise<T>} load
   * @param {(result: T) => void} onResult
   * @param {(error: unknown) => void} onError
   * @param {number} [interval] milliseconds from one response to the next request
   */
  constructor(load, onResult, onError, interval = INTERVAL_MS) {
    this.load = load;
    this.onResult = onResult;
    this.onError = onError;
    this.interval = interval;
  }

  /** Load it now, or after the request that is running. */
  async refetch() {
    this.#pending = true;
    if (this.#running) return;
    this.#running = true;
    while (this.#pending && !this.#abort.signal.aborted) {
      this.#pending = false;
      await this.#loadOnce();
      await new Promise((resolve) => setTimeout(resolve, this.interval));
    }
    this.#running = false;
  }

  async #loadOnce() {
    const { signal } = this.#abort;
    try {
      const result = await this.load(signal);
      if (!signal.aborted) this.onResult(result);
    } catch (error) {
      if (!signal.aborted) this.onError(error);
    }
  }

  stop() {
    this.#abort.abort();
  }
}
