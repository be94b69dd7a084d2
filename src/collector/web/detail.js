import { actorTree } from "./actor.js";
import { changeTable } from "./change.js";
import { rowOf, timeOf } from "./alert.js";
import { badge, command, el, fill, hostile } from "./dom.js";
import { drawComments, notesOf } from "./notes.js";
import { addressOf } from "./place.js";
import { proofPanel } from "./proof.js";
import { isTrueAt, objectAt, textAt, textsAt } from "./read.js";
import { sentenceOf } from "./sentence.js";
import { ago, fullTime, longTime, many, plain, shellWord } from "./text.js";

/** @typedef {import("./place.js").Filters} Filters */

/**
 * One alert: what happened, who did it, why it matters, what to do.
 * @param {Element} place
 * @param {unknown} event
 * @param {object} options
 * @param {Filters} options.filters
 * @param {readonly string[]} options.uids of its incident's row
 * @param {(uids: readonly string[]) => void} options.onDone
 */
export function drawDetail(place, event, { filters, uids, onDone }) {
  const fim = objectAt(event, "unmapped", "fim");
  const path = textAt(fim, "path");
  const back = el(
    "a",
    { class: "back", href: addressOf({ view: "alerts", filters }) },
    "← All alerts",
  );
  const sentence = el("h2", { id: "sentence", tabindex: "-1" }, ...sentenceOf(event).map(partOf));
  const comments = el("div");
  drawComments(comments, event);
  const notes = notesOf(event, { uids, onDone });
  fill(
    place,
    back,
    el("div", { class: "detail-top" }, headOf(event), notes.buttons),
    notes.status,
    notes.form,
    sentence,
    meaningOf(fim),
    whyOf(event),
    path !== undefined && el("p", { class: "path" }, hostile(path, 8192), viaOf(fim)),
    comments,
    path !== undefined && section("Who did it", actorTree(event)),
    section("What changed", changeTable(event) ?? examplesOf(fim)),
    section("What else", linksOf(event)),
    path !== undefined && section("If this was planned", planned(fim, path)),
    proofPanel(event),
    rawOf(event),
  );
}

/**
 * What an alert says before it is opened.
 * @param {unknown} event
 * @param {{ readonly href: string, readonly others: number }} options others: changes of the same incident
 */
export function suggestionOf(event, { href, others }) {
  return el(
    "section",
    { class: "suggestion", "aria-label": "Most severe" },
    el("p", { class: "faint" }, "The most severe of this list"),
    headOf(event),
    el("h2", {}, el("a", { href }, ...sentenceOf(event).map(partOf))),
    meaningOf(objectAt(event, "unmapped", "fim")),
    whyOf(event),
    others > 0 && el("p", {}, `${many(others, "more change")} of the same incident.`),
  );
}

/** @param {import("./sentence.js").Part} part */
function partOf({ text, kind }) {
  return kind === undefined
    ? hostile(text)
    : el("strong", { class: `part-${kind}` }, hostile(text, 120));
}

/** @param {unknown} event */
function headOf(event) {
  const at = timeOf(event);
  const now = Date.now();
  const row = rowOf(event);
  const states = [
    row.isApproved && "approved",
    isTrueAt(event, "unmapped", "fim", "restored") && "restored",
    isTrueAt(event, "unmapped", "fim", "offline") && "agent was down",
    row.acknowledged && "acknowledged",
  ].filter((one) => one !== false);
  return el(
    "div",
    { class: "detail-head" },
    badge(row.severity),
    hostile(row.node, 60),
    el(
      "time",
      { title: fullTime(at), datetime: new Date(at).toISOString() },
      `${longTime(at, now)} (${ago(at, now)})`,
    ),
    ...states.map((one) => el("span", { class: "state" }, one)),
  );
}

/** @param {unknown} fim */
function meaningOf(fim) {
  const meaning = textsAt(fim, "meaning");
  return (
    meaning.length > 0 &&
    el("ul", { class: "meaning" }, ...meaning.map((one) => el("li", {}, hostile(one))))
  );
}

/** The rule's reason, and where it says what to do. @param {unknown} event */
function whyOf(event) {
  const why = textAt(event, "policy", "desc");
  const runbook = textAt(event, "collector", "runbook");
  if (why === undefined && runbook === undefined) return false;
  return el(
    "p",
    { class: "why" },
    why !== undefined && hostile(why, 1000),
    runbook !== undefined && " ",
    runbook !== undefined &&
      el("a", { href: runbook, rel: "noopener noreferrer", target: "_blank" }, "Runbook"),
  );
}

/** @param {unknown} fim */
function viaOf(fim) {
  const [from, via] = [textAt(fim, "from"), textAt(fim, "via")];
  const [word, other] = from === undefined ? ["replaced by way of", via] : ["was", from];
  return other !== undefined && el("span", { class: "faint" }, ` ${word} `, hostile(other, 200));
}

/** @param {unknown} fim */
function examplesOf(fim) {
  const examples = textsAt(fim, "examples");
  return (
    examples.length > 0 &&
    el("ul", { class: "examples" }, ...examples.map((one) => el("li", {}, hostile(one, 200))))
  );
}

/** @param {string} title @param {import("./dom.js").Child} content */
function section(title, content) {
  return content ? el("section", { class: "part" }, el("h3", {}, title), content) : undefined;
}

/** Links that are filters: what else this incident, pod, program, file and node did. @param {unknown} event */
function linksOf(event) {
  const fim = objectAt(event, "unmapped", "fim");
  const pod = textAt(fim, "actor", "container", "pod");
  const namespace = textAt(fim, "actor", "container", "namespace") ?? "";
  const node = textAt(event, "collector", "node");
  const cluster = textAt(event, "collector", "cluster");
  /** @type {readonly (readonly [string, string | undefined, Filters])[]} */
  const links = [
    ["this incident", textAt(fim, "incident"), { incident: textAt(fim, "incident") ?? "" }],
    ["this pod", pod, { pod: `${namespace}/${pod}` }],
    ["this program", textAt(fim, "actor", "exe"), { program: textAt(fim, "actor", "exe") ?? "" }],
    ["this file", textAt(fim, "path"), { path: textAt(fim, "path") ?? "" }],
    ["this rule", textAt(fim, "rule"), { rule: textAt(fim, "rule") ?? "" }],
    ["this node", node, { node: node ?? "", cluster: cluster ?? "" }],
  ];
  const everything = { state: "all", severity: "any" };
  const known = links.filter(([, value]) => value !== undefined);
  return (
    known.length > 0 &&
    el(
      "ul",
      { class: "links" },
      ...known.map(([label, , filters]) =>
        el(
          "li",
          {},
          el(
            "a",
            { href: addressOf({ view: "alerts", filters: { ...everything, ...filters } }) },
            `All of ${label}`,
          ),
        ),
      ),
    )
  );
}

/** @param {unknown} fim @param {string} path */
function planned(fim, path) {
  const digest = textAt(fim, "after", "sha256");
  const expect = digest !== undefined && /^[0-9a-f]{64}$/.test(digest) ? ` --expect ${digest}` : "";
  const word = shellWord(path, textAt(fim, "pathBase64"));
  return el(
    "div",
    {},
    el(
      "p",
      {},
      "Accept the present state on the node. The command refuses any other content than the one shown here.",
    ),
    command(`fim-agent accept ${word}${expect} --reason "TICKET"`),
  );
}

/** @param {unknown} event */
function rawOf(event) {
  const attacks = /** @type {any} */ (event)?.attacks;
  const ids = Array.isArray(attacks)
    ? attacks.map(attackOf).filter((one) => one !== undefined)
    : [];
  const facts = [
    ["Rule", textAt(event, "metadata", "event_code")],
    ["Class", textAt(event, "unmapped", "fim", "class")],
    ["ATT&CK", ids.join(", ") || undefined],
    ["Type", textAt(event, "collector", "type")],
    ["Id", textAt(event, "collector", "uid")],
  ].filter(([, value]) => value !== undefined);
  return el(
    "div",
    {},
    el(
      "dl",
      { class: "facts-list" },
      ...facts.flatMap(([label = "", value = ""]) => [
        el("dt", {}, label),
        el("dd", {}, hostile(value, 600)),
      ]),
    ),
    el(
      "details",
      { class: "panel" },
      el("summary", {}, "Raw event"),
      el("pre", { tabindex: "0" }, plainJson(event)),
    ),
  );
}

/** "T1543.005 Container Service" @param {unknown} attack */
function attackOf(attack) {
  const known = ["sub_technique", "technique", "tactic"].find(
    (one) => textAt(attack, one, "uid") !== undefined,
  );
  if (known === undefined) return undefined;
  return [textAt(attack, known, "uid"), textAt(attack, known, "name")]
    .filter((one) => one !== undefined)
    .join(" ");
}

/** Lines stay lines; every other character that does not show is named. @param {unknown} event */
function plainJson(event) {
  return JSON.stringify(event, undefined, 2).split("\n").map(plain).join("\n");
}
