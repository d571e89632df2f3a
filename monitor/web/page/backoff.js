/** How long to wait before the next try. Pure: the random number is an argument, all is in seconds. */

const FIRST_S = 1;
const LONGEST_S = 30; // a person looks at it; the daemon stands a try of each page every 30 s
const NO_S = 30; // a refusal will not change within a moment

/**
 * @param {number} failures how many tries failed in a row, 0 after a clean end
 * @param {number} random 0 up to 1
 * @param {{status?: number, retryAfter?: number | null}} [answer] what the daemon said, if anything
 * @returns {number} seconds
 */
export function waitAfter(failures, random, { status = 0, retryAfter = null } = {}) {
  const doubled = failures === 0 ? FIRST_S / 2 : Math.min(LONGEST_S, FIRST_S * 2 ** (failures - 1));
  const jittered = doubled * (0.5 + random / 2); // not all pages at once after a restart
  if (retryAfter !== null) return retryAfter + jittered;
  return status === 403 ? NO_S : jittered;
}

/**
 * Read a Retry-After header: seconds, or a date.
 * @param {string | null} header
 * @param {number} now Unix seconds
 * @returns {number | null}
 */
export function retryAfter(header, now) {
  if (!header) return null;
  if (/^\d+$/.test(header.trim())) return Math.min(Number(header), 3600);
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.min(Math.max(0, at / 1000 - now), 3600);
}
