/** How fast an upload progresses, measured by this page. Pure; times are Unix seconds. */

const WINDOW_S = 180; // long enough for steps of 1 %, short enough to follow a change of the network

/** @typedef {{at: number, ratio: number}[]} Samples  when the progress changed, the oldest first */

/**
 * @param {Samples} samples
 * @param {number} at
 * @param {number | null} ratio
 * @returns {Samples}
 */
export function addSample(samples, at, ratio) {
  if (ratio === null) return [];
  const last = samples.at(-1);
  if (last && last.ratio === ratio) return samples;
  if (last && last.ratio > ratio) return [{ at, ratio }]; // the upload was restarted
  const kept = samples.filter((_, index) => {
    const next = samples[index + 1];
    return !next || next.at >= at - WINDOW_S;
  });
  return [...kept, { at, ratio }];
}

/**
 * @param {Samples} samples
 * @param {number} now
 * @returns {number | null} ratio a minute; null before a change was seen
 */
export function ratePerMinute(samples, now) {
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last || samples.length < 2 || now - first.at < 5) return null;
  return ((last.ratio - first.ratio) / (now - first.at)) * 60;
}
