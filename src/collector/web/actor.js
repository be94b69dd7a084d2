import { el, hostile } from "./dom.js";
import { numberAt, objectAt, textAt, textsAt } from "./read.js";
import { loginOf } from "./sentence.js";

/**
 * Who did it: from the pod or the first known parent down to the process, and how certain that is.
 * @param {unknown} event
 */
export function actorTree(event) {
  const fim = objectAt(event, "unmapped", "fim");
  const actor = objectAt(fim, "actor");
  const engine = textAt(fim, "engine");
  if (!actor)
    return el(
      "p",
      {},
      "No process is known. ",
      engine === "sweep"
        ? "A sweep found the change after it was made; no kernel event named a process."
        : "The kernel event named no process that could be identified.",
    );
  const parents = textsAt(actor, "ancestry").toReversed();
  // What a container's runtime started is inside of it.
  const inside = parents.findLastIndex((name) => runtimes.test(name)) + 1;
  const levels = [
    ...parents.slice(0, inside).map((name) => line(name, "parent")),
    ...placesOf(actor),
    ...parents.slice(inside).map((name) => line(name, "parent")),
    processOf(event, actor),
  ];
  const tree = levels.reduceRight(
    (/** @type {HTMLElement | undefined} */ inner, level) =>
      el("ul", {}, el("li", {}, level, inner)),
    undefined,
  );
  return el("div", { class: "tree" }, tree, certaintyOf(actor, engine));
}

const runtimes = /^(?:containerd|runc|crun|conmon|cri-o|crio|dockerd)/;

/** @param {unknown} actor */
function placesOf(actor) {
  const container = objectAt(actor, "container");
  if (!container) return [];
  const [namespace, pod] = [textAt(container, "namespace"), textAt(container, "pod")];
  const id = textAt(container, "id")?.slice(0, 12);
  const name = textAt(container, "name");
  return [
    pod !== undefined && line(namespace === undefined ? pod : `${namespace}/${pod}`, "pod"),
    line(name ?? id ?? "unknown", "container", name === undefined ? undefined : id),
  ].filter((one) => one !== false);
}

/** @param {string} name @param {string} kind @param {string} [more] */
function line(name, kind, more) {
  return el(
    "span",
    { class: "tree-line" },
    el("span", { class: "kind" }, kind),
    " ",
    hostile(name, 120),
    more !== undefined && el("span", { class: "faint" }, " ", hostile(more, 40)),
  );
}

/** @param {unknown} event @param {unknown} actor */
function processOf(event, actor) {
  const candidates = textsAt(actor, "candidates");
  const program = textAt(actor, "exe") ?? textAt(actor, "comm") ?? "unknown program";
  const user = textAt(event, "actor", "process", "user", "name");
  const uid = numberAt(actor, "uid");
  const facts = [
    `pid ${numberAt(actor, "pid") ?? "unknown"}`,
    user ?? (uid === undefined ? undefined : `uid ${uid}`),
    loginOf(actor),
  ].filter((one) => one !== undefined);
  const cmdline = textsAt(actor, "cmdline");
  return el(
    "span",
    { class: "tree-line culprit" },
    el("span", { class: "kind" }, "process"),
    " ",
    ...(candidates.length > 0
      ? candidates.flatMap((one, at) => [at > 0 && " or ", el("strong", {}, hostile(one, 120))])
      : [el("strong", {}, hostile(program, 120))]),
    el("span", { class: "faint" }, ` ${facts.join(", ")}`),
    cmdline.length > 0 &&
      el("code", { class: "cmdline" }, hostile(cmdline.map(quoted).join(" "), 600)),
  );
}

/** @param {string} word */
function quoted(word) {
  return /^[\w./@%+=:,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** @param {unknown} actor @param {string | undefined} engine */
function certaintyOf(actor, engine) {
  const isCertain = textsAt(actor, "candidates").length === 0 && textAt(actor, "exe") !== undefined;
  const how = engine === undefined ? "" : `, seen by ${engine}`;
  const text = isCertain
    ? `The process is certain${how}.`
    : `The program is not certain${how}: the process executed another one around that moment, or was gone.`;
  return el("p", { class: isCertain ? "faint" : "caution" }, text);
}
