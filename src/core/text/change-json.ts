import type { ChangeKind, Field, FoldedChange, JudgedChange, Verdict } from "../change/change.ts";
import type { Mount } from "../change/mount.ts";
import type { Actor, EngineName, Step } from "../change/hint.ts";
import type { FileType, Observation } from "../change/observation.ts";
import { showPath } from "../path.ts";
import { present, wellFormed } from "../present.ts";
import { bounded, xattrDigests } from "./bounded.ts";
import type { FileClass, Severity } from "../policy/rule.ts";

/** An observation for machines. It holds digests, never content. */
interface ShownObservation {
  readonly type: FileType;
  /** Four octal digits. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly sha256?: string;
  readonly mtime: string;
  readonly target?: string;
  readonly targetBase64?: string;
  readonly acl?: string;
  readonly capabilities?: string;
  readonly selinux?: string;
  /** Name -> SHA-256 of the value in hex: a value may be a secret. */
  readonly xattrs?: Readonly<Record<string, string>>;
  readonly flags?: readonly string[];
  /** Hard links, when there is more than one. */
  readonly links?: number;
  readonly inode: string;
  readonly dev: string;
  readonly unreadable?: string;
  readonly unstable?: true;
}

/** A change for machines: one line of `check --format ndjson`, and `unmapped.fim` of an alert. */
export interface ChangeObject {
  readonly path: string;
  readonly pathBase64?: string;
  readonly change: ChangeKind;
  readonly from?: string;
  readonly fromBase64?: string;
  readonly fields?: readonly Field[];
  readonly via?: string;
  readonly steps?: readonly Step[];
  readonly mount?: Mount;
  readonly errno?: string;
  readonly count?: number;
  readonly examples?: readonly string[];
  readonly rule: string;
  readonly class: FileClass;
  readonly severity: Severity;
  readonly verdict: Verdict;
  readonly before?: ShownObservation;
  readonly after?: ShownObservation;
  readonly meaning: readonly string[];
  readonly actor?: Actor;
  readonly incident?: string;
  readonly engine?: EngineName;
  /** RFC 3339, milliseconds. */
  readonly at: string;
  readonly offline?: true;
  /** The path is again as the baseline has it. */
  readonly restored?: true;
}

/** True when it stands for many like changes. */
export function isFolded(judged: JudgedChange | FoldedChange): judged is FoldedChange {
  return "examples" in judged;
}

export function toChangeObject(judged: JudgedChange | FoldedChange): ChangeObject {
  return wellFormed(showChange(judged));
}

/** The same with strings as they are, for a caller that makes the whole well-formed. */
export function showChange(judged: JudgedChange | FoldedChange): ChangeObject {
  const { change } = judged;
  const path = showPath(change.path);
  const from = "from" in change ? showPath(change.from) : undefined;
  const before = "before" in change ? change.before : undefined;
  const after = "after" in change ? change.after : undefined;
  return present({
    path: path.text,
    pathBase64: path.base64,
    change: change.kind,
    from: from?.text,
    fromBase64: from?.base64,
    fields: "fields" in change ? change.fields : undefined,
    via: "via" in change ? change.via : undefined,
    steps: "steps" in change ? change.steps : undefined,
    mount: "mount" in change ? change.mount : undefined,
    errno: "errno" in change ? change.errno : undefined,
    count: isFolded(judged) ? judged.count : "count" in change ? change.count : undefined,
    examples: isFolded(judged) ? judged.examples : undefined,
    rule: judged.rule,
    class: judged.class,
    severity: judged.severity,
    verdict: judged.verdict,
    before: before && showObservation(before),
    after: after && showObservation(after),
    meaning: judged.meaning,
    actor: judged.actor && showActor(judged.actor),
    incident: judged.incident,
    engine: judged.engine,
    at: isoTime(judged.at),
    offline: judged.offline,
    restored: judged.restored,
  });
}

/** RFC 3339 in UTC with milliseconds. */
export function isoTime(at: number): string {
  return new Date(at).toISOString();
}

/** The twelve permission bits as four octal digits. */
export function octalMode(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}

function showObservation(seen: Observation): ShownObservation {
  const target = seen.target === undefined ? undefined : showPath(seen.target);
  return present({
    type: seen.type,
    mode: octalMode(seen.mode),
    uid: seen.uid,
    gid: seen.gid,
    size: seen.size,
    // Of a file that is unreadable now, the last known digest is not the present one.
    sha256: seen.unreadable === undefined ? seen.sha256 : undefined,
    mtime: seen.mtime,
    target: target?.text,
    targetBase64: target?.base64,
    acl: seen.acl && bounded(seen.acl),
    capabilities: seen.capabilities,
    selinux: seen.selinux,
    xattrs: seen.xattrs && xattrDigests(seen.xattrs),
    flags: seen.flags,
    links: seen.nlink > 1 ? seen.nlink : undefined,
    inode: seen.ino,
    dev: seen.dev,
    unreadable: seen.unreadable,
    unstable: seen.unstable,
  });
}

function showActor(actor: Actor): Actor {
  return present({
    pid: actor.pid,
    comm: actor.comm,
    exe: actor.exe,
    candidates: actor.candidates,
    cmdline: actor.cmdline,
    uid: actor.uid,
    loginUid: actor.loginUid,
    ancestry: actor.ancestry,
    cgroup: actor.cgroup,
    container: actor.container && present(actor.container),
  });
}
