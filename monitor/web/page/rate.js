/** How fast an image moves, from what this page saw of it. Pure; times in Unix seconds. */

const WINDOW_S = 180; // long enough for steps of 1 %, short enough to follow another network

/** @typedef {{at: number, ratio: number}[]} Samples  when the progress was seen to change, the oldest first */

/**
 * @param {Samples} samples
 * @param {number} at
 * @param {number | null} ratio
 * @returns {Samples} with what is seen now
 */
export function note(samples, at, ratio) {
  if (ratio === null || ratio === undefined) return [];
  const last = samples.at(-1);
  if (last && last.ratio === ratio) return samples;
  if (last && last.ratio > ratio) return [{ at, ratio }]; // it began anew
  const kept = samples.filter((_, index) => index === samples.length - 1 || samples[index + 1].at >= at - WINDOW_S);
  return [...kept, { at, ratio }];
}

/**
 * @param {Samples} samples
 * @param {number} now
 * @returns {number | null} ratio a minute; null as long as no move was seen
 */
export function perMinute(samples, now) {
  if (samples.length < 2 || now - samples[0].at < 5) return null;
  return ((samples.at(-1).ratio - samples[0].ratio) / (now - samples[0].at)) * 60;
}
