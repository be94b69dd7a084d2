import { middle, partsOf, plain } from "./text.js";

/** @typedef {Node | string | number | false | null | undefined} Child */

/**
 * Makes an element. A text becomes a text node, never markup; a function listens.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Readonly<Record<string, unknown>>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function")
      made.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else if (value === true) made.setAttribute(name, "");
    else if (typeof value === "string" || typeof value === "number")
      made.setAttribute(name, String(value));
  }
  made.append(...given(children));
  return made;
}

/**
 * Replaces the content of an element.
 * @param {Element} element
 * @param {...Child} children
 */
export function fill(element, ...children) {
  element.replaceChildren(...given(children));
}

/**
 * @param {readonly Child[]} children
 * @returns {(Node | string)[]}
 */
function given(children) {
  return children
    .filter((one) => one !== false && one !== null && one !== undefined && one !== "")
    .map((one) => (typeof one === "number" ? String(one) : /** @type {Node | string} */ (one)));
}

/**
 * A text that a node sent: kept apart from the direction of what surrounds it, every character visible, cut in the
 * middle where it is longer than `most`.
 * @param {string} text
 * @param {number} [most]
 */
export function hostile(text, most = 4096) {
  const shown = middle(text, most);
  const title = shown === text ? undefined : plain(middle(text, 4096));
  const parts = partsOf(shown).map((part) =>
    "odd" in part ? el("span", { class: "odd" }, part.odd) : part.text,
  );
  return el("bdi", { class: "hostile", dir: "ltr", title }, ...parts);
}

/**
 * The element of the document with this id.
 * @param {string} id
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the document has no element ${id}`);
  return found;
}

/**
 * A severity: shape, colour and word.
 * @param {import("./severity.js").Severity} severity
 * @param {{ readonly isShort?: boolean }} [options]
 */
export function badge(severity, { isShort = false } = {}) {
  const mark = el("span", { class: `mark mark-${severity}`, "aria-hidden": "true" });
  const word = el("span", { class: isShort ? "visually-hidden" : "badge-word" }, severity);
  return el("span", { class: `badge badge-${severity}` }, mark, word);
}

/**
 * A command to copy.
 * @param {string} text
 */
export function command(text) {
  const button = el(
    "button",
    { type: "button", class: "quiet copy", "aria-label": "Copy command" },
    "Copy",
  );
  button.addEventListener("click", async () => {
    const isCopied = await copy(text);
    button.textContent = isCopied ? "Copied" : "Select it";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  return el("div", { class: "command" }, el("code", { tabindex: "0" }, plain(text)), button);
}

/** @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
