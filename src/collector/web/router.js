import { addressOf, placeOf } from "./place.js";

/** @typedef {import("./place.js").Place} Place */

/** @type {((place: Place) => void)[]} */
const listeners = [];

/** @returns {Place} */
export function here() {
  return placeOf(location);
}

/** @param {(place: Place) => void} listener */
export function onPlace(listener) {
  listeners.push(listener);
}

/**
 * @param {Place} place
 * @param {{ readonly isReplaced?: boolean }} [options] replaced: Back does not return to the place before
 */
export function go(place, { isReplaced = false } = {}) {
  const address = addressOf(place);
  if (isReplaced) history.replaceState(null, "", address);
  else if (address !== location.pathname + location.search) history.pushState(null, "", address);
  show();
}

/** Links of the page change the place and load nothing. */
export function startRouter() {
  addEventListener("popstate", show);
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a[href^='/']") : null;
    const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
    if (!link || !isPlain || link.hasAttribute("download") || link.hasAttribute("target")) return;
    event.preventDefault();
    go(placeOf(new URL(link.getAttribute("href") ?? "/", location.href)));
  });
  show();
}

function show() {
  const place = here();
  for (const listener of listeners) listener(place);
}
