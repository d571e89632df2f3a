/**
 * Requests to the daemon. Two errors:
 *
 *     ProblemResponse  the daemon answered with an error: show its problem details
 *     Unreachable      no usable response: after a PATCH, it is unknown whether the change was made
 */

import { parseRetryAfter } from "./backoff.js";
import { authHeaders } from "./token.js";

/** @import { Entry } from "./fleet.js" */

const READ_TIMEOUT_MS = 30_000;
const PATCH_TIMEOUT_MS = 120_000; // a PATCH makes up to five requests to the Controller

/**
 * The daemon's problem details. A proxy's error has only the first three.
 * @typedef {Pick<ProblemDetails, "title" | "detail" | "status"> & Partial<ProblemDetails>} Problem
 */

export class ProblemResponse extends Error {
  /** @param {Problem} problem @param {number | null} retryAfter seconds, where the response has it */
  constructor(problem, retryAfter) {
    super(`${problem.title}: ${problem.detail}`);
    this.problem = problem;
    this.retryAfter = retryAfter;
  }
}

export class Unreachable extends Error {}

/**
 * The URL of a route, relative to the page: the same below any path prefix of a proxy.
 * @param {string} path
 * @param {Record<string, string | number>} [query] empty values are left out
 */
export function apiUrl(path, query = {}) {
  const given = Object.entries(query).flatMap(([name, value]) => (value ? [[name, String(value)]] : []));
  const search = new URLSearchParams(given).toString();
  return `api/${path}${search ? `?${search}` : ""}`;
}

/** @param {Entry} entry */
export function imagePath(entry) {
  return `image/${encodeURIComponent(entry.image.uuid)}`;
}

/** @param {string} uuid of a unit that is upgraded */
export function unitPath(uuid) {
  return `upgradestatusinfo/${encodeURIComponent(uuid)}`;
}

/**
 * GET a JSON document.
 * @param {string} url from apiUrl
 * @param {AbortSignal} [signal]
 * @returns {Promise<{body: any, etag: string | null}>}
 * @throws {ProblemResponse | Unreachable | DOMException} AbortError when `signal` was aborted
 */
export async function getJson(url, signal) {
  const timeout = AbortSignal.timeout(READ_TIMEOUT_MS);
  const response = await send(url, {
    headers: authHeaders(),
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
  });
  return { body: await json(response), etag: response.headers.get("ETag") };
}

/**
 * PATCH an image or a unit. Sent once, never retried.
 * @param {string} url from apiUrl
 * @param {{body: object, apiVersion: string, etag?: string | null | undefined}} request
 * @returns {Promise<any>}
 * @throws {ProblemResponse | Unreachable}
 */
export async function patchObject(url, { body, apiVersion, etag = null }) {
  /** @type {Record<string, string>} */
  const headers = { ...authHeaders(), "Content-Type": "application/json", "X-Avi-Version": apiVersion };
  if (etag) headers["If-Match"] = etag;
  const signal = AbortSignal.timeout(PATCH_TIMEOUT_MS);
  return json(await send(url, { method: "PATCH", headers, body: JSON.stringify(body), signal }));
}

/** @param {string} url @param {RequestInit & {signal: AbortSignal}} options */
async function send(url, options) {
  let response;
  try {
    response = await fetch(url, { cache: "no-store", ...options });
  } catch (error) {
    if (options.signal.aborted && options.signal.reason?.name === "AbortError") throw error;
    const timedOut = error instanceof Error && error.name === "TimeoutError";
    throw new Unreachable(timedOut ? "the request timed out" : "the daemon cannot be reached");
  }
  if (!response.ok) throw await readProblem(response);
  return response;
}

/** @param {Response} response */
async function json(response) {
  try {
    return await response.json();
  } catch {
    throw new Unreachable("the response was cut off, or is not JSON");
  }
}

/** The error in a response that is not 2xx. @param {Response} response */
export async function readProblem(response) {
  const retryAfter = parseRetryAfter(response.headers.get("Retry-After"), Date.now() / 1000);
  const text = await response.text().catch(() => "");
  return new ProblemResponse(parseProblem(text, response), retryAfter);
}

/** @param {string} text @param {Response} response @returns {Problem} */
function parseProblem(text, { status, statusText }) {
  try {
    const body = JSON.parse(text);
    if (typeof body.title === "string") return { detail: "", ...body, status };
  } catch {
    // the error page of a proxy
  }
  return { title: `HTTP ${status} ${statusText}`.trim(), detail: text.slice(0, 300), status };
}
