import { get } from "./api.js";
import { badge, byId, el, fill, hostile } from "./dom.js";
import { firstRun } from "./nodes.js";
import { addressOf } from "./place.js";
import { objectAt, textAt, textsAt } from "./read.js";
import { go } from "./router.js";
import { severityOf } from "./severity.js";
import { many } from "./text.js";

/** @typedef {import("./place.js").Filters} Filters */

/** The nodes of a cluster side by side; what is equal on all of them is hidden until it is wanted. @param {Filters} filters */
export async function showCompare(filters) {
  const place = byId("compare");
  if (place.childElementCount === 0) fill(place, el("p", { class: "hint" }, "Loading…"));
  try {
    const { cluster } = filters;
    const query = cluster === undefined ? "" : `?${new URLSearchParams({ cluster })}`;
    const comparison = await get(`/v1/compare${query}`);
    const seen = JSON.stringify([comparison, filters]);
    // What a person reads does not move while it stays the same.
    if (seen === last) return;
    last = seen;
    fill(place, ...viewOf(comparison, filters));
  } catch (error) {
    last = "";
    const { message } = /** @type {Error} */ (error);
    fill(place, el("p", { class: "hint" }, `The nodes cannot be compared: ${message}`));
  }
}

/** What is drawn. */
let last = "";

/**
 * @param {unknown} comparison
 * @param {Filters} filters
 * @returns {import("./dom.js").Child[]}
 */
function viewOf(comparison, filters) {
  const clusters = textsAt(comparison, "clusters");
  const nodes = textsAt(comparison, "nodes");
  if (clusters.length === 0) return [firstRun()];
  const facts = factsOf(comparison);
  const differing = facts.filter(({ outliers }) => outliers.length > 0);
  const isEqualShown = filters.equal === "shown";
  const shown = isEqualShown ? facts : differing;
  const cluster = textAt(comparison, "cluster") ?? "";
  return [
    el(
      "div",
      { class: "compare-bar" },
      clusters.length > 1 && chooserOf(clusters, cluster, filters),
      facts.length > differing.length && equalToggle(facts.length - differing.length, filters),
    ),
    summaryOf({ cluster, nodes, facts, differing }),
    hiddenText(comparison),
    shown.length > 0 && tableOf({ cluster, nodes, facts: shown }),
  ];
}

/**
 * @typedef {object} Fact
 * @property {string} name
 * @property {Readonly<Record<string, unknown>>} values by node
 * @property {readonly string[]} outliers
 * @property {boolean} hasMajority
 * @property {string | undefined} severity
 */

/** @param {unknown} comparison @returns {readonly Fact[]} */
function factsOf(comparison) {
  const facts = /** @type {any} */ (comparison)?.facts;
  if (!Array.isArray(facts)) return [];
  return facts.map((one) => ({
    name: textAt(one, "fact") ?? "",
    values: objectAt(one, "values") ?? {},
    outliers: textsAt(one, "outliers"),
    hasMajority: textAt(one, "expected") !== undefined,
    severity: textAt(one, "severity"),
  }));
}

/** @param {readonly string[]} clusters @param {string} cluster @param {Filters} filters */
function chooserOf(clusters, cluster, filters) {
  const chooser = el(
    "select",
    { "aria-label": "cluster" },
    ...clusters.map((one) => el("option", { value: one, selected: one === cluster }, one)),
  );
  chooser.addEventListener("change", () =>
    go({ view: "compare", filters: { ...filters, cluster: chooser.value } }),
  );
  return chooser;
}

/** @param {number} count @param {Filters} filters */
function equalToggle(count, { equal, ...others }) {
  const isShown = equal === "shown";
  const box = el("input", { type: "checkbox", checked: isShown });
  box.addEventListener("change", () =>
    go({ view: "compare", filters: isShown ? others : { ...others, equal: "shown" } }),
  );
  return el("label", { class: "toggle" }, box, `Show what is equal (${count})`);
}

/**
 * @param {object} what
 * @param {string} what.cluster
 * @param {readonly string[]} what.nodes
 * @param {readonly Fact[]} what.facts
 * @param {readonly Fact[]} what.differing
 */
function summaryOf({ cluster, nodes, facts, differing }) {
  const name = el("strong", {}, hostile(cluster, 60));
  if (nodes.length < 2)
    return el(
      "p",
      { class: "compare-summary" },
      name,
      " has one node: there is nothing to compare it with.",
    );
  if (facts.length === 0)
    return el("p", { class: "compare-summary" }, "No node of ", name, " has sent a heartbeat yet.");
  if (differing.length === 0)
    return el(
      "p",
      { class: "compare-summary is-good" },
      el("span", { class: "dot dot-good", "aria-hidden": "true" }),
      el(
        "span",
        {},
        `All ${facts.length} facts are equal on the ${nodes.length} nodes of `,
        name,
        ".",
      ),
    );
  const odd = new Set(differing.flatMap(({ outliers }) => outliers));
  const who = [...odd].slice(0, 3).flatMap((one, at) => [at > 0 ? ", " : "", hostile(one, 60)]);
  return el(
    "p",
    { class: "compare-summary" },
    name,
    `: ${differing.length} of ${facts.length} facts differ, on `,
    ...who,
    odd.size > 3 && ` and ${many(odd.size - 3, "other node")}`,
    ".",
  );
}

/** @param {unknown} comparison */
function hiddenText(comparison) {
  const hidden = /** @type {any} */ (comparison)?.hidden;
  return (
    hidden > 0 &&
    el("p", { class: "faint" }, `${many(hidden, "node")} more; those that differ are shown first.`)
  );
}

/**
 * @param {object} what
 * @param {string} what.cluster
 * @param {readonly string[]} what.nodes
 * @param {readonly Fact[]} what.facts
 */
function tableOf({ cluster, nodes, facts }) {
  const odd = new Set(facts.flatMap(({ outliers }) => outliers));
  return el(
    "div",
    { class: "scroll-x", tabindex: "0", role: "region", "aria-label": "Nodes side by side" },
    el(
      "table",
      { class: "compare" },
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          el("th", { scope: "col" }, "Fact"),
          ...nodes.map((one) =>
            el("th", { scope: "col", class: odd.has(one) ? "is-odd" : "" }, hostile(one, 40)),
          ),
        ),
      ),
      el("tbody", {}, ...facts.map((fact) => rowOf(fact, nodes, cluster))),
    ),
  );
}

/** @param {Fact} fact @param {readonly string[]} nodes @param {string} cluster */
function rowOf(fact, nodes, cluster) {
  const differs = fact.outliers.length > 0;
  return el(
    "tr",
    { class: differs ? "differs" : "is-equal" },
    el(
      "th",
      { scope: "row" },
      el("span", { class: "fact-name" }, hostile(fact.name, 90)),
      differs && badge(severityOf(fact.severity)),
      differs && !fact.hasMajority && el("span", { class: "faint below" }, "no majority"),
    ),
    ...nodes.map((node) => cellOf(fact, node, cluster)),
  );
}

/** @param {Fact} fact @param {string} node @param {string} cluster */
function cellOf(fact, node, cluster) {
  const value = textAt(fact.values, node);
  const isOdd = fact.outliers.includes(node);
  const filters = { path: fact.name, node, cluster, state: "all", severity: "any" };
  const isPath = fact.name.startsWith("/");
  return el(
    "td",
    { "data-label": node, class: isOdd ? "is-odd" : "" },
    el(
      "span",
      { class: "cell" },
      value === undefined ? el("span", { class: "none" }, "unknown") : shortValue(value),
      isOdd && el("span", { class: "odd-mark" }, "≠ differs"),
    ),
    isOdd &&
      isPath &&
      el("a", { class: "below", href: addressOf({ view: "alerts", filters }) }, "its changes"),
  );
}

/** A digest by its first characters, the whole on hover. @param {string} value */
function shortValue(value) {
  const digest = /^(?:sha256:)?([0-9a-f]{12})[0-9a-f]{52}$/.exec(value)?.[1];
  return digest === undefined
    ? el("span", { class: "value" }, hostile(value, 80))
    : el("span", { class: "value", title: value }, `${digest}…`);
}
