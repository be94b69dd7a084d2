import { byId } from "./dom.js";

/**
 * The keyboard. A key in a field is text, except Escape.
 * @param {object} actions
 * @param {(step: 1 | -1) => void} actions.move
 * @param {() => void} actions.takeNew
 * @param {() => void} actions.back
 */
export function startKeys({ move, takeNew, back }) {
  const help = /** @type {HTMLDialogElement} */ (byId("help"));
  /** @type {Readonly<Record<string, () => void>>} */
  const keys = {
    j: () => move(1),
    k: () => move(-1),
    n: takeNew,
    "/": () => byId("search").focus(),
    a: () => document.getElementById("acknowledge")?.click(),
    c: () => document.getElementById("comment")?.click(),
    "?": () => help.showModal(),
  };
  byId("help-button").addEventListener("click", () => help.showModal());
  byId("help-close").addEventListener("click", () => help.close());
  document.addEventListener("keydown", (event) => {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    if (document.body.dataset["view"] === "login") return;
    const isField =
      target instanceof HTMLElement && target.matches("input, textarea, select, [contenteditable]");
    if (key === "Escape") {
      if (isField) target.blur();
      else back();
      return;
    }
    const action = isField ? undefined : keys[key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
