/** What the address names, and the addresses of views. Pure. */

/**
 * `controller`, `uuid`: null where the view has none. An address that cannot be decoded names what does not exist.
 * @typedef {{view: "fleet" | "image" | "upgrade", controller: string, uuid: string}} Place
 */

/** @param {string} hash @returns {Place} */
export function readPlace(hash) {
  const [, image, uuid = ""] = /^#\/image\/([^/]+)\/([^/?]+)$/.exec(hash) ?? [];
  if (image) return { view: "image", controller: decode(image), uuid: decode(uuid) };
  const [, upgrade] = /^#\/upgrade\/([^/?]+)$/.exec(hash) ?? [];
  if (upgrade) return { view: "upgrade", controller: decode(upgrade), uuid: "" };
  return { view: "fleet", controller: "", uuid: "" };
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** @param {string} controller */
export function upgradeHref(controller) {
  return `#/upgrade/${encodeURIComponent(controller)}`;
}

/** @param {string} controller @param {string} uuid */
export function imageHref(controller, uuid) {
  return `#/image/${encodeURIComponent(controller)}/${encodeURIComponent(uuid)}`;
}
