/** How long to wait before the next connection attempt. Pure: the random number is an argument; times are seconds. */

const INITIAL_DELAY_S = 1;
const MAX_DELAY_S = 30; // short, as a person is waiting; the daemon can take one attempt of every page in 30 s
const FORBIDDEN_DELAY_S = 30; // a 403 will not go away in a moment
const MAX_RETRY_AFTER_S = 3600;

/**
 * @param {number} failures how many attempts failed in a row, 0 after a clean end
 * @param {number} random 0 up to 1
 * @param {{status?: number, retryAfter?: number | null}} [response] of the daemon, if there was one
 * @returns {number} seconds
 */
export function retryDelay(failures, random, { status = 0, retryAfter = null } = {}) {
  const doubled = failures === 0 ? INITIAL_DELAY_S / 2 : Math.min(MAX_DELAY_S, INITIAL_DELAY_S * 2 ** (failures - 1));
  const jittered = doubled * (0.5 + random / 2); // so that the pages do not all reconnect at once after a restart
  if (retryAfter !== null) return retryAfter + jittered;
  return status === 403 ? FORBIDDEN_DELAY_S : jittered;
}

/**
 * Parse a Retry-After header: seconds, or a date.
 * @param {string | null} header
 * @param {number} now Unix seconds
 * @returns {number | null} seconds
 */
export function parseRetryAfter(header, now) {
  if (!header) return null;
  if (/^\d+$/.test(header.trim())) return Math.min(Number(header), MAX_RETRY_AFTER_S);
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.min(Math.max(0, at / 1000 - now), MAX_RETRY_AFTER_S);
}
