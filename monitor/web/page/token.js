/**
 * The token that the person entered: kept for this tab only, and sent to this daemon only.
 * The only module that uses sessionStorage.
 */

const KEY = "avi-upgrade-monitor.token";
/** @type {string | null} */
let fallback = null; // where the browser denies us its storage

export function storedToken() {
  try {
    return sessionStorage.getItem(KEY) ?? fallback;
  } catch {
    return fallback;
  }
}

/** @param {string | null} token null forgets it */
export function storeToken(token) {
  fallback = token;
  try {
    if (token) sessionStorage.setItem(KEY, token);
    else sessionStorage.removeItem(KEY);
  } catch {
    // then it lives as long as the page
  }
}

/** @returns {Record<string, string>} the request headers that carry the token */
export function authHeaders() {
  const token = storedToken();
  return token ? { Authorization: `Bearer ${token}` } : {};
}

/** Whether a token would be sent in plain text over a network. */
export function isPlainHttp() {
  return location.protocol === "http:" && !/^(localhost|127\.[\d.]+|\[::1\])$/.test(location.hostname);
}
