import { byId, command, el, fill, hostile } from "./dom.js";
import { go } from "./router.js";
import { shellWord } from "./text.js";

/** @typedef {import("./place.js").Filters} Filters */

/** The first is what an address without the filter shows. */
const times = [
  ["", "everything"],
  ["24h", "the last 24 hours"],
  ["7d", "the last 7 days"],
  ["30d", "the last 30 days"],
];

/**
 * How to take evidence away and verify it without this collector.
 * @param {Filters} filters
 * @param {readonly string[]} nodes names
 */
export async function showEvidence(filters, nodes) {
  const checkpoint = el("pre", { tabindex: "0", class: "checkpoint" }, "Loading…");
  const key = el("div");
  fill(
    byId("evidence"),
    el("h1", {}, "Evidence"),
    el(
      "p",
      {},
      "Every record is signed by the node that wrote it and linked to the one before it. The collector keeps the bytes as they came, in a log that it can only extend. An auditor needs neither this page nor this machine.",
    ),
    el("h2", {}, "1. Export"),
    el("p", {}, "The records with their signatures and the proof that they are in the log:"),
    el("p", {}, ...choosers(filters, nodes)),
    command(exportOf(filters)),
    el("h2", {}, "2. Verify, anywhere, offline"),
    command("fim-collector verify evidence.ndjson"),
    el(
      "p",
      {},
      "It checks each signature, each link, that no record is missing and that the log holds them all. It names the first record that does not hold, and ends with 0 only if all do.",
    ),
    el("h2", {}, "3. Keep the checkpoint somewhere else"),
    el(
      "p",
      {},
      "This signed note fixes everything received so far. Who keeps it can prove later that nothing was removed or altered. Agents keep one too, and refuse a collector whose log became shorter.",
    ),
    checkpoint,
    key,
    el(
      "p",
      {},
      el("a", { href: "/v1/checkpoint", download: "checkpoint.txt" }, "Download the checkpoint"),
    ),
  );
  try {
    const answer = await fetch("/v1/checkpoint");
    if (!answer.ok) throw new Error(`the collector answers ${answer.status}`);
    fill(checkpoint, ...(await answer.text()).split("\n").flatMap((line) => [hostile(line), "\n"]));
    const name = answer.headers.get("fim-checkpoint-key");
    fill(key, name !== null && el("p", {}, "Its key: ", el("code", {}, hostile(name))));
  } catch (error) {
    fill(checkpoint, `The checkpoint cannot be read: ${/** @type {Error} */ (error).message}`);
  }
}

/** @param {Filters} filters @param {readonly string[]} nodes */
function choosers(filters, nodes) {
  const names = nodes.map((one) => [one, one]);
  return [
    chooser("node", filters, [["", "all nodes"], ...names]),
    " ",
    chooser("since", filters, times),
  ];
}

/** @param {Filters} filters */
function exportOf({ node, since }) {
  const options = [
    node === undefined ? "" : ` --node ${shellWord(node)}`,
    since === undefined ? "" : ` --since ${shellWord(since)}`,
  ];
  return `fim-collector export${options.join("")} > evidence.ndjson`;
}

/**
 * @param {"node" | "since"} name
 * @param {Filters} filters
 * @param {readonly (readonly string[])[]} options
 */
function chooser(name, filters, options) {
  const now = filters[name] ?? "";
  // A pasted link may name a value that is not in the list.
  const all = options.some(([value]) => value === now) ? options : [...options, [now, now]];
  const control = el(
    "select",
    { "aria-label": name === "node" ? "Exported nodes" : "Exported time" },
    ...all.map(([value = "", label = value]) =>
      el("option", { value, selected: value === now }, label),
    ),
  );
  control.addEventListener("change", () => {
    const { [name]: _, ...others } = filters;
    const chosen = control.value === "" ? others : { ...others, [name]: control.value };
    go({ view: "evidence", filters: chosen });
  });
  return control;
}
