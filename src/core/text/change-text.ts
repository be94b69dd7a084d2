import { bounded, boundedNames } from "./bounded.ts";
import type { Change, Field, FoldedChange, JudgedChange } from "../change/change.ts";
import type { Actor } from "../change/hint.ts";
import type { Observation } from "../change/observation.ts";
import { printable } from "../path.ts";
import type { Severity } from "../policy/rule.ts";
import { isFolded, octalMode } from "./change-json.ts";

/** One row of a table of changes; every cell is one printable line. */
interface ChangeRow {
  readonly severity: Severity;
  readonly change: string;
  readonly path: string;
  readonly fields: string;
  readonly detail: string;
}

/** A judged change for people, on one line: "critical /etc/… modified: mode 0600 -> 0644, by chmod (pid 7, uid 0)". */
export function toLine(judged: JudgedChange | FoldedChange): string {
  const approved = judged.verdict === "approved" ? " (approved)" : "";
  return `${judged.severity}${approved} ${toSentence(judged)}`;
}

export function toRow(judged: JudgedChange | FoldedChange): ChangeRow {
  const { change } = judged;
  return {
    severity: judged.severity,
    change: judged.verdict === "approved" ? `${change.kind} (approved)` : change.kind,
    path:
      change.kind === "renamed"
        ? `${printable(change.from)} -> ${printable(change.path)}`
        : printable(change.path),
    fields: "fields" in change ? change.fields.join(",") : "",
    detail: [...detailsOf(change), ...judged.meaning.map(printable)].join("; "),
  };
}

/** What happened, the actor and the meaning, without the severity. */
export function toSentence(judged: JudgedChange | FoldedChange): string {
  const many = isFolded(judged)
    ? `${judged.count} changes under rule ${printable(judged.rule)}, the last of them: `
    : "";
  const offline = judged.offline ? ", while the agent was not running" : "";
  const restored = judged.restored ? ", back to the baseline" : "";
  const actor = judged.actor ? `, by ${actorText(judged.actor)}` : "";
  return `${many}${whatHappened(judged.change)}${restored}${offline}${actor}${meaningText(judged.meaning)}`;
}

/** "/etc/hosts modified: content 12 -> 20 bytes" */
export function whatHappened(change: Change): string {
  const path = printable(change.path);
  const details = detailsOf(change).join(", ");
  switch (change.kind) {
    case "created":
      return `${path} created: ${details}`;
    case "deleted":
      return `${path} deleted`;
    case "renamed": {
      const what = `${printable(change.from)} renamed to ${path}`;
      return details === "" ? what : `${what}: ${details}`;
    }
    case "modified":
      return `${path} modified: ${details}`;
    case "transient":
      return `${path} changed for a moment only: ${details}`;
    case "mounted":
      return `${path} mounted over: ${details}`;
    case "unmounted":
      return `${path} unmounted: ${details}`;
    case "unreadable":
      return `${path} could not be read: ${details}`;
  }
}

/** The differences of a change, each a few words. */
function detailsOf(change: Change): readonly string[] {
  switch (change.kind) {
    case "created":
      return [describe(change.after)];
    case "deleted":
      return [describe(change.before)];
    case "renamed": {
      const count =
        change.count === undefined ? [] : [`${change.count} paths below it moved along`];
      return [...count, ...change.fields.map((field) => difference(field, change))];
    }
    case "modified": {
      const via = change.via === undefined ? [] : [`replaced by way of ${printable(change.via)}`];
      return [...change.fields.map((field) => difference(field, change)), ...via];
    }
    case "transient":
      return [change.steps.join(", ")];
    case "mounted":
    case "unmounted":
      return [printable(`${change.mount.type} from ${change.mount.source}`)];
    case "unreadable":
      return [printable(change.errno)];
  }
}

function describe(seen: Observation): string {
  const target = seen.target === undefined ? "" : ` to ${printable(seen.target)}`;
  return `${seen.type}${target}, mode ${octalMode(seen.mode)}, owner ${seen.uid}:${seen.gid}`;
}

interface Pair {
  readonly before: Observation;
  readonly after: Observation;
}

function difference(field: Field, { before, after }: Pair): string {
  const between = (show: (seen: Observation) => string | number | undefined) =>
    `${field} ${shown(show(before))} -> ${shown(show(after))}`;
  switch (field) {
    case "content":
      return contentDifference({ before, after });
    case "type":
      return between((seen) => seen.type);
    case "mode":
      return between((seen) => octalMode(seen.mode));
    case "owner":
      return between((seen) => seen.uid);
    case "group":
      return between((seen) => seen.gid);
    case "target":
    case "acl":
    case "capabilities":
    case "selinux":
    case "mtime":
      return between((seen) => seen[field]);
    case "xattr":
      return `xattr ${boundedNames(xattrDifference({ before, after })).map(printable).join(", ")}`;
    case "flags":
      return between((seen) => seen.flags?.join(","));
    case "links":
      return between((seen) => seen.nlink);
    case "inode":
      // The inode number may have been reused: then only the birth time differs.
      return before.ino === after.ino ? `inode ${after.ino} reused` : between((seen) => seen.ino);
  }
}

function shown(value: string | number | undefined): string {
  return value === undefined ? "none" : printable(bounded(String(value)));
}

function contentDifference({ before, after }: Pair): string {
  if (before.size !== after.size) return `content ${before.size} -> ${after.size} bytes`;
  return `content sha256 ${shortDigest(before)} -> ${shortDigest(after)}`;
}

function shortDigest(seen: Observation): string {
  return shown(seen.sha256?.slice(0, 12));
}

/** Names of the added (+), removed (-) or changed (~) attributes; never their values. */
function xattrDifference(pair: Pair): readonly string[] {
  const before = new Map(Object.entries(pair.before.xattrs ?? {}));
  const after = new Map(Object.entries(pair.after.xattrs ?? {}));
  const names = [...new Set([...before.keys(), ...after.keys()])].filter(
    (name) => before.get(name) !== after.get(name),
  );
  return names.map((name) => {
    if (!before.has(name)) return `+${name}`;
    return after.has(name) ? `~${name}` : `-${name}`;
  });
}

function actorText(actor: Actor): string {
  const name = actor.exe ?? actor.candidates?.join(" or ") ?? actor.comm ?? "a process";
  const facts = [`pid ${actor.pid}`];
  if (actor.uid !== undefined) facts.push(`uid ${actor.uid}`);
  if (actor.loginUid !== undefined) facts.push(`logged in as ${actor.loginUid}`);
  if (actor.container) facts.push(`container ${containerText(actor.container)}`);
  return printable(`${name} (${facts.join(", ")})`);
}

function containerText(container: NonNullable<Actor["container"]>): string {
  const { namespace, pod, name, id } = container;
  const parts = [namespace, pod, name].filter((part) => part !== undefined);
  return parts.length > 0 ? parts.join("/") : id.slice(0, 12);
}

function meaningText(meaning: readonly string[]): string {
  if (meaning.length === 0) return "";
  const more = meaning.length > 3 ? `; and ${meaning.length - 3} more` : "";
  return `; ${meaning.slice(0, 3).map(printable).join("; ")}${more}`;
}
