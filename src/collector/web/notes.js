import { post } from "./api.js";
import { el, fill, hostile } from "./dom.js";
import { isTrueAt, textAt } from "./read.js";
import { ago, fullTime } from "./text.js";

/**
 * Acknowledge and comment; both are kept with the user's name.
 * @param {unknown} event
 * @param {{ readonly uids: readonly string[], readonly onDone: (uids: readonly string[]) => void }} options
 */
export function notesOf(event, { uids, onDone }) {
  const { form, text } = commentForm();
  const acknowledge = acknowledgeButton(event, uids.length);
  const comment = el("button", { type: "button", id: "comment" }, "Comment");
  const status = el("p", { class: "caution", role: "status" });

  /** @param {readonly string[]} acknowledged */
  const send = async (acknowledged) => {
    const [first = textAt(event, "collector", "uid") ?? "", ...others] = acknowledged;
    try {
      await post(pathOf(first), { text: text.value.trim(), acknowledge: acknowledged.length > 0 });
      for (const uid of others) await post(pathOf(uid), { acknowledge: true });
      text.value = "";
      onDone(acknowledged);
    } catch (error) {
      status.textContent = `Not saved: ${/** @type {Error} */ (error).message}`;
    }
  };
  acknowledge.addEventListener("click", () => {
    acknowledge.disabled = true;
    void send(uids);
  });
  comment.addEventListener("click", () => {
    form.hidden = false;
    text.focus();
  });
  form.addEventListener("submit", (submit) => {
    submit.preventDefault();
    if (text.value.trim() !== "") void send([]);
  });
  return { buttons: el("div", { class: "actions" }, acknowledge, comment), form, status };
}

/** @param {unknown} event @param {number} count */
function acknowledgeButton(event, count) {
  const isDone = isTrueAt(event, "collector", "acknowledged");
  const word = count > 1 ? `Acknowledge all ${count}` : "Acknowledge";
  const attributes = { type: "button", id: "acknowledge", class: "primary", disabled: isDone };
  return el("button", attributes, isDone ? "Acknowledged" : word);
}

/** Hidden until it is wanted. */
function commentForm() {
  const text = el("textarea", {
    id: "comment-text",
    rows: "2",
    maxlength: "10000",
    placeholder: "What you found, or who you called",
  });
  const form = el(
    "form",
    { class: "notes", hidden: true, "aria-label": "Comment" },
    el("label", { for: "comment-text" }, "Comment"),
    text,
    el("button", { class: "primary" }, "Send"),
  );
  text.addEventListener("keydown", ({ key, ctrlKey, metaKey }) => {
    if (key === "Enter" && (ctrlKey || metaKey)) form.requestSubmit();
  });
  return { form, text };
}

/** @param {string} uid */
function pathOf(uid) {
  return `/v1/alerts/${encodeURIComponent(uid)}/comments`;
}

/**
 * What people said of the alert, oldest first.
 * @param {Element} place
 * @param {unknown} event
 */
export function drawComments(place, event) {
  const comments = /** @type {any} */ (event)?.collector?.comments;
  if (!Array.isArray(comments) || comments.length === 0) return fill(place);
  const now = Date.now();
  return fill(
    place,
    el(
      "ol",
      { class: "comments", "aria-label": "Comments" },
      ...comments.map((/** @type {unknown} */ one) => {
        const at = Date.parse(textAt(one, "at") ?? "");
        const acknowledges = isTrueAt(one, "acknowledges");
        return el(
          "li",
          {},
          el("strong", {}, hostile(textAt(one, "user") ?? "", 60)),
          acknowledges && " acknowledged",
          el(
            "time",
            { class: "faint", title: fullTime(at), datetime: textAt(one, "at") },
            ` ${ago(at, now)}`,
          ),
          textAt(one, "text") && el("p", {}, hostile(textAt(one, "text") ?? "", 10_000)),
        );
      }),
    ),
  );
}
