import { get } from "./api.js";
import { byId, command, el, fill, hostile } from "./dom.js";
import { addressOf } from "./place.js";
import { numberAt, objectAt, textAt, textsAt } from "./read.js";
import { severities } from "./severity.js";
import { ago, fullTime, many } from "./text.js";

const order = ["silent", "degraded", "drifting", "well"];

/** One row a node; what is not well stands on top. */
export async function showNodes() {
  const place = byId("nodes");
  try {
    const items = await readNodes();
    fill(place, items.length === 0 ? firstRun() : tableOf(items));
  } catch (error) {
    fill(
      place,
      el(
        "p",
        { class: "hint" },
        `The nodes cannot be read: ${/** @type {Error} */ (error).message}`,
      ),
    );
  }
}

/** @returns {Promise<readonly unknown[]>} */
export async function readNodes() {
  const { items } = /** @type {{ items: unknown[] }} */ (await get("/v1/nodes"));
  return items.toSorted((a, b) => rankOf(a) - rankOf(b));
}

/** @param {unknown} node */
function rankOf(node) {
  return order.indexOf(stateOf(node));
}

/** What to do where no node has joined yet. */
export function firstRun() {
  return el(
    "section",
    { class: "first-run" },
    el("h2", {}, "No node has joined yet"),
    el("p", {}, "Three commands join one. The first runs here, the others on the node."),
    el(
      "ol",
      {},
      el(
        "li",
        {},
        "Make a token, good for one node and one use:",
        command("fim-collector token --node cp-1 > join-token"),
      ),
      el(
        "li",
        {},
        "Copy it to the node, and name this collector in /etc/fim-agent/config.yaml:",
        command(`collector: { url: "${location.origin}", joinToken: /etc/fim-agent/join-token }`),
      ),
      el(
        "li",
        {},
        "Start the agent; it captures a baseline if there is none:",
        command("fim-agent baseline --if-missing && systemctl restart fim-agent"),
      ),
    ),
  );
}

const heads = [
  "State",
  "Node",
  "Heard",
  "Drift",
  "Baseline",
  "Engine",
  "Policy",
  "Waiting",
  "Version",
];

/** @param {readonly unknown[]} nodes */
function tableOf(nodes) {
  return el(
    "table",
    { class: "nodes" },
    el("caption", { class: "visually-hidden" }, "Nodes"),
    el("thead", {}, el("tr", {}, ...heads.map((one) => el("th", { scope: "col" }, one)))),
    el("tbody", {}, ...nodes.map(rowOf)),
  );
}

/** @param {unknown} node */
function rowOf(node) {
  const now = Date.now();
  const state = stateOf(node);
  const name = textAt(node, "node") ?? "";
  const cluster = textAt(node, "cluster") ?? "";
  const heard = Date.parse(textAt(node, "lastHeard") ?? "");
  const reasons = textsAt(node, "reasons");
  const filters = { node: name, cluster, state: "all", severity: "any" };
  const cells = [
    el(
      "span",
      { class: "node-state" },
      el("span", { class: `dot dot-${dots[state] ?? "bad"}`, "aria-hidden": "true" }),
      state,
    ),
    el(
      "span",
      {},
      el("a", { href: addressOf({ view: "alerts", filters }) }, hostile(name, 60)),
      el("span", { class: "faint" }, " ", hostile(cluster, 40)),
      reasons.length > 0 &&
        el(
          "ul",
          { class: "reasons" },
          ...reasons.map((one) => el("li", {}, hostile(reasonText(one), 300))),
        ),
    ),
    el("time", { title: fullTime(heard), datetime: textAt(node, "lastHeard") }, ago(heard, now)),
    driftText(node),
    baselineText(node),
    engineText(node),
    hostile(textAt(node, "policy", "name") ?? "unknown", 40),
    waitingText(node),
    hostile(textAt(node, "version") ?? "unknown", 20),
  ];
  return el(
    "tr",
    { class: `is-${state}` },
    ...cells.map((cell, at) => el("td", { "data-label": heads[at] }, cell)),
  );
}

/** @type {Readonly<Record<string, string>>} */
const dots = { silent: "bad", degraded: "warn", drifting: "warn", well: "good" };

/** "drifting": well, but its files differ from its baseline. @param {unknown} node */
function stateOf(node) {
  const state = textAt(node, "state") ?? "silent";
  return state === "well" && driftOf(node).length > 0 ? "drifting" : state;
}

/** The time is in a column of its own. @param {string} reason */
function reasonText(reason) {
  return reason.startsWith("silent since")
    ? "nothing is heard of it: the agent was stopped, or the network is down"
    : reason;
}

/** @param {unknown} node @returns {readonly { severity: import("./severity.js").Severity, count: number }[]} */
function driftOf(node) {
  return severities
    .map((severity) => ({ severity, count: numberAt(node, "drift", severity) ?? 0 }))
    .filter(({ count }) => count > 0);
}

/** @param {unknown} node */
function driftText(node) {
  if (!objectAt(node, "drift")) return "unknown";
  const drift = driftOf(node);
  if (drift.length === 0) return el("span", { class: "faint" }, "none");
  return el(
    "span",
    { class: "drift" },
    ...drift.map(({ severity, count }) =>
      el(
        "span",
        { class: "drift-part" },
        el("span", { class: `mark mark-${severity}`, "aria-hidden": "true" }),
        `${count} ${severity}`,
      ),
    ),
  );
}

/** @param {unknown} node */
function baselineText(node) {
  const counter = numberAt(node, "baseline", "counter");
  if (counter === undefined) return "unknown";
  const rows = numberAt(node, "baseline", "rows") ?? 0;
  const at = Date.parse(textAt(node, "baseline", "at") ?? "");
  const age = Number.isNaN(at)
    ? undefined
    : el(
        "time",
        { title: fullTime(at), datetime: new Date(at).toISOString() },
        ago(at, Date.now()),
      );
  return el(
    "span",
    {},
    `no. ${counter}`,
    age !== undefined && ", ",
    age,
    el("span", { class: "faint below" }, many(rows, "path")),
  );
}

/** @param {unknown} node */
function engineText(node) {
  const [engine, attribution] = [textAt(node, "engine"), textAt(node, "attribution")];
  if (engine === undefined) return "unknown";
  return el(
    "span",
    {},
    hostile(engine, 20),
    el(
      "span",
      { class: "faint below" },
      `names ${attribution === "full" ? "every process" : (attribution ?? "no process")}`,
    ),
  );
}

/** @param {unknown} node */
function waitingText(node) {
  const records = numberAt(node, "outbox", "records");
  if (records === undefined) return "unknown";
  return records === 0 ? el("span", { class: "faint" }, "nothing") : many(records, "record");
}
