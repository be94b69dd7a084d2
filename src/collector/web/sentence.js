import { isTrueAt, numberAt, objectAt, textAt, textsAt } from "./read.js";
import { baseName } from "./text.js";

/*
 * What happened, as a sentence that can be read aloud: who, what, where. "Pod default/intruder (container c, /bin/sh,
 * root) created the static pod manifest evil.yaml on cp-1".
 */

/** @typedef {{ readonly text: string, readonly kind?: "who" | "path" | "node" }} Part */

/**
 * @param {unknown} event an alert of the API
 * @returns {readonly Part[]}
 */
export function sentenceOf(event) {
  const fim = objectAt(event, "unmapped", "fim");
  const node = textAt(event, "collector", "node") ?? textAt(fim, "node") ?? "an unknown node";
  const path = textAt(fim, "path");
  if (path === undefined) return eventOf(event, node);
  const offline = isTrueAt(fim, "offline") ? " while the agent was not running" : "";
  const restored = isTrueAt(fim, "restored") ? ", back to the approved state" : "";
  return [
    ...foldedOf(fim),
    ...whoOf(event),
    ...whatOf(fim, path),
    { text: `${restored} on ` },
    { text: node, kind: "node" },
    { text: offline },
  ];
}

/**
 * An event of an agent, or an alarm of the collector.
 * @param {unknown} event
 * @param {string} node
 * @returns {readonly Part[]}
 */
function eventOf(event, node) {
  const title = textAt(event, "finding_info", "title");
  const reason = textAt(event, "finding_info", "desc") ?? textAt(event, "reason");
  const about = textAt(event, "trouble") ?? textAt(event, "what");
  const what = title ?? `Agent ${textAt(event, "event") ?? "event"}${about ? `, ${about}` : ""}`;
  return [
    { text: `${what} on ` },
    { text: node, kind: "node" },
    ...(reason ? [{ text: `: ${reason}` }] : []),
  ];
}

/** @param {unknown} fim @returns {readonly Part[]} */
function foldedOf(fim) {
  const count = numberAt(fim, "count");
  return count !== undefined && textsAt(fim, "examples").length > 0
    ? [{ text: `${count} like changes, the last: ` }]
    : [];
}

/**
 * @param {unknown} event
 * @returns {readonly Part[]}
 */
export function whoOf(event) {
  const actor = objectAt(event, "unmapped", "fim", "actor");
  if (!actor) return [{ text: "An unknown process", kind: "who" }];
  const { name, facts } = subjectOf(event, actor);
  return [
    { text: name, kind: "who" },
    ...(facts.length > 0 ? [{ text: ` (${facts.join(", ")})` }] : []),
  ];
}

/**
 * @param {unknown} event
 * @param {unknown} actor
 */
function subjectOf(event, actor) {
  const pod = textAt(actor, "container", "pod");
  const container =
    textAt(actor, "container", "name") ?? textAt(actor, "container", "id")?.slice(0, 12);
  const program = programOf(actor);
  const user = userOf(event, actor);
  if (pod !== undefined) {
    const namespace = textAt(actor, "container", "namespace");
    const name = `Pod ${namespace === undefined ? "" : `${namespace}/`}${pod}`;
    return { name, facts: known([container && `container ${container}`, program, user]) };
  }
  const place = container && `container ${container}`;
  return { name: program ?? "A process", facts: known([place, user, loginOf(actor)]) };
}

/** @param {readonly (string | undefined)[]} texts */
function known(texts) {
  return texts.filter((one) => one !== undefined && one !== "");
}

/** @param {unknown} actor */
function programOf(actor) {
  const candidates = textsAt(actor, "candidates");
  if (candidates.length > 0) return `${candidates.join(" or ")}, not certain which`;
  return textAt(actor, "exe") ?? textAt(actor, "comm");
}

/** @param {unknown} event @param {unknown} actor */
function userOf(event, actor) {
  const name = textAt(event, "actor", "process", "user", "name");
  const uid = numberAt(actor, "uid");
  return name ?? (uid === 0 ? "root" : uid === undefined ? undefined : `uid ${uid}`);
}

/** proc_pid_loginuid(5): 4294967295 is no login. */
const noLogin = 4_294_967_295;

/** @param {unknown} actor */
export function loginOf(actor) {
  const login = numberAt(actor, "loginUid");
  if (login === undefined || login === noLogin) return undefined;
  return `logged in as ${login === 0 ? "root" : `uid ${login}`}`;
}

/**
 * @param {unknown} fim
 * @param {string} path
 * @returns {readonly Part[]}
 */
function whatOf(fim, path) {
  const thing = `the ${nounOf(fim)} `;
  const name = /** @type {const} */ ({ text: baseName(path), kind: "path" });
  const change = textAt(fim, "change") ?? "";
  switch (change) {
    case "created":
      return [{ text: ` created ${thing}` }, name];
    case "deleted":
      return [{ text: ` deleted ${thing}` }, name];
    case "renamed":
      return [
        { text: ` renamed ${thing}` },
        { text: baseName(textAt(fim, "from") ?? ""), kind: "path" },
        { text: " to " },
        name,
      ];
    case "transient":
      return [
        { text: ` ${textsAt(fim, "steps").join(" and ") || "changed"} ${thing}` },
        name,
        { text: " within a moment" },
      ];
    case "mounted":
      return [{ text: ` mounted ${mountOf(fim)} over ${thing}` }, name];
    case "unmounted":
      return [{ text: ` unmounted ${mountOf(fim)} from ${thing}` }, name];
    case "unreadable":
      return [
        { text: ` made ${thing}` },
        name,
        { text: ` unreadable (${textAt(fim, "errno") ?? "unknown error"})` },
      ];
    default:
      return modified(fim, thing, name);
  }
}

/** @param {unknown} fim */
function mountOf(fim) {
  return textAt(fim, "mount", "type") ?? "a filesystem";
}

/**
 * @param {unknown} fim
 * @param {string} thing
 * @param {Part} name
 * @returns {readonly Part[]}
 */
function modified(fim, thing, name) {
  const fields = textsAt(fim, "fields").filter((one) => !["mtime", "inode", "links"].includes(one));
  if (fields.length === 0) return [{ text: ` touched ${thing}` }, name];
  const [field, ...others] = fields;
  if (field === "content" && others.length === 0) return [{ text: ` changed ${thing}` }, name];
  const between =
    field === "mode" && others.length === 0
      ? ` from ${textAt(fim, "before", "mode")} to ${textAt(fim, "after", "mode")}`
      : "";
  return [{ text: ` changed the ${listed(fields)} of ${thing}` }, name, { text: between }];
}

/** @param {readonly string[]} words */
function listed(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/** What the files of a rule are, by the end of its id; the first that fits. @type {readonly (readonly [RegExp, string])[]} */
const nouns = [
  [/static-pods$/, "static pod manifest"],
  [/kubeconfigs?$/, "kubeconfig"],
  [/keys?$/, "private key"],
  [/(?:ca|certificates?)$/, "certificate"],
  [/audit-logs?$/, "audit log"],
  [/etcd[a-z-]*$/, "etcd file"],
  [/programs$/, "program"],
  [/cron[a-z-]*$/, "cron job"],
  [/systemd-[a-z-]+$|kubelet-service$/, "systemd unit"],
  [/sudo$/, "sudo rule"],
  [/passwords$/, "password file"],
  [/accounts$/, "account file"],
];

const typeNouns = new Map([
  ["directory", "directory"],
  ["symlink", "symbolic link"],
  ["socket", "socket"],
  ["fifo", "named pipe"],
  ["char", "device"],
  ["block", "device"],
]);

/** @param {unknown} fim */
function nounOf(fim) {
  const type = textAt(fim, "after", "type") ?? textAt(fim, "before", "type") ?? "file";
  const rule = textAt(fim, "rule") ?? "";
  return typeNouns.get(type) ?? nouns.find(([end]) => end.test(rule))?.[1] ?? "file";
}
