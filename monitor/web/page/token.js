/**
 * The token that the person entered: kept for this tab alone, and shown to nobody but this daemon.
 * The only place that touches sessionStorage.
 */

const KEY = "avi-upgrade-monitor.token";
let fallback = null; // where the browser keeps nothing for us

export function token() {
  try {
    return sessionStorage.getItem(KEY) ?? fallback;
  } catch {
    return fallback;
  }
}

/** @param {string | null} text null forgets it */
export function keepToken(text) {
  fallback = text;
  try {
    if (text) sessionStorage.setItem(KEY, text);
    else sessionStorage.removeItem(KEY);
  } catch {
    // it lives as long as the page, then
  }
}

/** The headers that let the person in. */
export function credentials() {
  const text = token();
  return text ? { Authorization: `Bearer ${text}` } : {};
}

/** Whether somebody on the way could read it. */
export function isExposed(place = location) {
  return place.protocol === "http:" && !/^(localhost|127\.[\d.]+|\[::1\])$/.test(place.hostname);
}
