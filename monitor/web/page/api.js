/**
 * Asking the daemon. Two ways in which there is no good answer:
 *
 *     Refused      it answered, and says no: show its words
 *     Unreachable  no answer came; of a change it may be that nobody knows whether it was done
 */

import { retryAfter } from "./backoff.js";
import { credentials } from "./token.js";

const READ_MS = 30_000;
const CHANGE_MS = 120_000; // a PATCH makes up to five requests to the Controller

/** @typedef {{title: string, detail: string, status: number, path?: string, request_id?: string}} Problem */

export class Refused extends Error {
  /** @param {Problem} problem @param {number | null} wait seconds until it may be asked again */
  constructor(problem, wait) {
    super(`${problem.title}: ${problem.detail}`);
    this.problem = problem;
    this.wait = wait;
  }
}

export class Unreachable extends Error {}

/** Where a route is, whatever the path that a proxy serves us at. */
export function routeOf(path, query = {}) {
  const search = new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();
  return `api/${path}${search ? `?${search}` : ""}`;
}

export function imagePath(entry) {
  return `image/${encodeURIComponent(entry.image.uuid)}`;
}

/**
 * Read JSON.
 * @param {string} route from routeOf
 * @param {AbortSignal} [signal]
 * @returns {Promise<{body: any, etag: string | null}>}
 */
export async function read(route, signal) {
  const limit = AbortSignal.timeout(READ_MS);
  const response = await send(route, {
    headers: credentials(),
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
  });
  return { body: await json(response), etag: response.headers.get("ETag") };
}

/**
 * Change an image; never repeated by itself.
 * @param {string} route
 * @param {{body: object, apiVersion: string, etag?: string | null}} order
 */
export async function change(route, { body, apiVersion, etag = null }) {
  const headers = { ...credentials(), "Content-Type": "application/json", "X-Avi-Version": apiVersion };
  if (etag) headers["If-Match"] = etag;
  const options = { method: "PATCH", headers, body: JSON.stringify(body), signal: AbortSignal.timeout(CHANGE_MS) };
  return json(await send(route, options));
}

async function send(route, options) {
  let response;
  try {
    response = await fetch(route, { cache: "no-store", ...options });
  } catch (error) {
    if (options.signal?.aborted && options.signal.reason?.name === "AbortError") throw error;
    throw new Unreachable(error.name === "TimeoutError" ? "no answer came in time" : "the daemon cannot be reached");
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function json(response) {
  try {
    return await response.json();
  } catch {
    throw new Unreachable("the answer broke off, or is no JSON");
  }
}

/** The refusal in a response that is not good, as the server worded it. */
export async function refusal(response) {
  const wait = retryAfter(response.headers.get("Retry-After"), Date.now() / 1000);
  const text = await response.text().catch(() => "");
  return new Refused(problemIn(text, response), wait);
}

function problemIn(text, { status, statusText }) {
  try {
    const found = JSON.parse(text);
    if (typeof found.title === "string") return { detail: "", ...found, status };
  } catch {
    // not ours: a proxy's page
  }
  return { title: `HTTP ${status} ${statusText}`.trim(), detail: text.slice(0, 300), status };
}
