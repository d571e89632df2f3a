/** Which images an upgrade uses, in words. Pure. */

import { truncate } from "./format.js";

/** @import { Contents } from "./upgrade-status.js" */

/** How a controller uses an image, by its role; what matters most to an operator first. @type {[string, string][]} */
const USES = [
  ["target", "is being upgraded to it"],
  ["current", "runs it"],
  ["patch", "is patched with it"],
  ["previous", "could go back to it"],
  ["previous_patch", "could go back to it"],
];

/**
 * "In use: dc1 runs it"; "" while it is not.
 * @param {string} image its uuid
 * @param {string} controller
 * @param {Contents} upgrade
 */
export function useText(image, controller, { units }) {
  const roles = new Set();
  for (const unit of units.values())
    for (const [role, uuid] of Object.entries(unit.image_uuids)) if (uuid === image) roles.add(role);
  const use = USES.find(([role]) => roles.has(role));
  return use ? `In use: ${truncate(controller, 80)} ${use[1]}` : "";
}
