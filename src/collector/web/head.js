import { byId, el, fill } from "./dom.js";
import { addressOf } from "./place.js";
import { numberAt } from "./read.js";
import { many } from "./text.js";

/** @typedef {import("./place.js").Filters} Filters */

/**
 * The one line: is anything wrong now? Green only if every node is heard, well and without drift, and nothing severe
 * is open.
 * @param {unknown} summary
 * @param {{ readonly isOld: boolean }} options isOld: it lacks an alert that the page has
 */
export function drawHead(summary, { isOld }) {
  const { open: counts, nodes } = /** @type {any} */ (summary);
  const seen = JSON.stringify([counts, nodes, isOld]);
  // The line is read aloud when it changes, and only then.
  if (seen === shown) return;
  shown = seen;
  /** @param {...string} names */
  const count = (...names) => numberAt(summary, ...names) ?? 0;
  const [critical, high] = [count("open", "critical"), count("open", "high")];
  const lesser = count("open", "medium") + count("open", "low");
  const [silent, degraded, well] = ["silent", "degraded", "well"].map((one) => count("nodes", one));
  const drifting = count("nodes", "drifting");
  const facts = [
    critical > 0 && open(critical, "critical"),
    high > 0 && open(high, "high"),
    critical + high === 0 && lesser > 0 && toAlerts(`${lesser} minor open`, {}),
    silent && toNodes(`${many(silent, "node")} silent`, "bad"),
    degraded && toNodes(`${degraded} degraded`, "warn"),
    drifting > 0 && toNodes(`${drifting} with drift`, "warn"),
    well && toNodes(`${many(well, "node")} well`, "good"),
  ].filter((one) => one !== false && one !== 0 && one !== undefined);
  const state = stateOf({
    isBad: critical + high + (silent ?? 0) > 0,
    isOdd: lesser + (degraded ?? 0) + drifting > 0,
    well: well ?? 0,
    isOld,
  });
  const verdict = byId("verdict");
  verdict.dataset["state"] = state;
  fill(
    verdict,
    el("span", { class: `dot dot-${state}`, "aria-hidden": "true" }),
    el("strong", {}, verdicts[state]),
    el("span", { class: "facts" }, ...facts),
  );
  document.title = `${critical > 0 ? `${critical} critical · ` : silent ? `${silent} silent · ` : ""}fim`;
}

let shown = "";

const verdicts = {
  bad: "Look now",
  warn: "Look today",
  good: "All well",
  old: "Counting…",
  none: "No nodes yet",
};

/** @param {{ isBad: boolean, isOdd: boolean, well: number, isOld: boolean }} seen */
function stateOf({ isBad, isOdd, well, isOld }) {
  if (isBad) return "bad";
  if (isOdd) return "warn";
  if (well === 0) return "none";
  return isOld ? "old" : "good";
}

/** @param {number} count @param {import("./severity.js").Severity} severity */
function open(count, severity) {
  const mark = el("span", { class: `mark mark-${severity}`, "aria-hidden": "true" });
  const filters = { severity: severity === "critical" ? severity : `only-${severity}` };
  return el(
    "a",
    { href: addressOf({ view: "alerts", filters }), class: "fact" },
    mark,
    `${count.toLocaleString("en")} ${severity} open`,
  );
}

/** @param {string} text @param {Filters} filters */
function toAlerts(text, filters) {
  return el("a", { href: addressOf({ view: "alerts", filters }), class: "fact" }, text);
}

/** @param {string} text @param {string} state */
function toNodes(text, state) {
  return el(
    "a",
    { href: "/nodes", class: "fact" },
    el("span", { class: `dot dot-${state}`, "aria-hidden": "true" }),
    text,
  );
}
