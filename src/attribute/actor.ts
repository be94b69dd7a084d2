import { chooseCgroup, parseCgroupPath } from "../core/cgroup.ts";
import { redactArguments } from "../core/cmdline.ts";
import type { Actor, Image, Relative } from "../core/change/hint.ts";
import type { Touches } from "../core/change/images.ts";
import { Cgroups } from "./cgroups.ts";
import { readCreation } from "./creations.ts";
import type { Inode } from "./creations.ts";
import { ContainerNames } from "./container.ts";
import { readArguments, readHistory, readImages } from "./exec-history.ts";
import { readTouch } from "./touches.ts";
import type { ExecRecord, HistoryMaps } from "./exec-history.ts";
import { readExecutable, readLoginUid, readProcess, readStat } from "./process.ts";
import type { LiveProcess, ProcessStat } from "./process.ts";
import { programOf } from "./program.ts";

/** The sources for describing a process. */
export interface AttributionSettings {
  /** Where the agent sees the node's root. */
  readonly root: string;
  readonly proc: string;
  /** The exec history. Absent: only living processes are described. */
  readonly maps?: HistoryMaps;
}

const mostAncestors = 8;
const mostRemembered = 256;
/** Milliseconds in which a dead process still counts as the owner of its pid. */
const rememberedFor = 1000;
/** Milliseconds that a busy machine may leave between the note of a change and its event. */
const touchBeforeEvent = 1000;

interface Remembered {
  readonly actor: Actor;
  readonly startedAt: number | undefined;
  readonly comm: string | undefined;
  readonly executable: Actor["executable"];
  readonly notedAt: bigint | undefined;
  /** Milliseconds on the monotonic clock. */
  readonly describedAt: number;
  readonly until: number;
}

/** A pid -> its process, from /proc while it lives and from the exec history in any case. */
export class ActorReader implements Disposable {
  readonly #settings: AttributionSettings;
  readonly #containers: ContainerNames;
  readonly #cgroups: Cgroups;
  readonly #remembered = new Map<number, Remembered>();

  constructor(settings: AttributionSettings) {
    this.#settings = settings;
    this.#containers = new ContainerNames(settings.root);
    this.#cgroups = new Cgroups(settings.root);
  }

  /**
   * The process behind an event, with every program that it can have run then. `queueEmpty` is when no event waited in
   * the kernel, milliseconds on the monotonic clock; without it the present program counts. Undefined: unknown. Ask as
   * early as possible: short-lived processes vanish.
   */
  describe(pid: number, now: number, queueEmpty: number = Infinity): Actor | undefined {
    if (pid <= 0) return undefined;
    const images = this.#imagesOf(pid);
    if (images.length === 0) return this.#describeLiving(pid, now, queueEmpty);
    const possible = runningSince(images, nanoseconds(queueEmpty));
    const [record] = possible;
    if (!record) return undefined;
    const actor = this.#describeImage(pid, { record, isPresent: true, now });
    if (possible.length > 1 || isLateExecution(record, nanoseconds(queueEmpty)))
      return { ...actor, images: this.#imagesIn(pid, possible, queueEmpty) };
    return { ...actor, isProven: true };
  }

  /** When each of the actor's images last changed the inode, milliseconds on the monotonic clock. */
  touchesOf({ pid, images = [] }: Actor, inode: Inode): Touches {
    const { touches, creations } = this.#settings.maps ?? {};
    if (touches === undefined) return [];
    // The number may have belonged to another inode before.
    const made = (creations === undefined ? undefined : readCreation(creations, inode))?.at ?? 0n;
    return images.map(({ id, since }) => {
      const at = readTouch(touches, { ino: inode.ino, pid, notedAt: BigInt(id) });
      const isRecent =
        at !== undefined && at >= made && at >= nanoseconds(since - touchBeforeEvent);
      return isRecent ? Number(at) / 1e6 : undefined;
    });
  }

  /**
   * The process that made this inode in a new directory: an older inode may have been moved there. Undefined:
   * unknown.
   */
  describeMaker(made: Inode, directory: Inode, now: number): Actor | undefined {
    const { creations } = this.#settings.maps ?? {};
    if (creations === undefined) return undefined;
    const own = readCreation(creations, made);
    const above = readCreation(creations, directory);
    if (!own || !above || own.at < above.at) return undefined;
    // The pid may be another process's by now.
    const images = this.#imagesOf(own.pid);
    if (images.length === 0) return this.#describeLiving(own.pid, now, 0);
    const record = images.find(({ notedAt }) => notedAt <= own.at);
    if (!record || record.forkedAt > own.at) return undefined;
    const isPresent = record === images[0];
    return { ...this.#describeImage(own.pid, { record, isPresent, now }), isProven: true };
  }

  [Symbol.dispose](): void {
    this.#cgroups[Symbol.dispose]();
  }

  /** Without a record: from /proc alone, whose executions have no time. */
  #describeLiving(pid: number, now: number, queueEmpty: number): Actor | undefined {
    const { proc } = this.#settings;
    const known = this.#remembered.get(pid);
    if (known && this.#isSame(pid, known, now)) {
      // It ran the same program before any of the events that are read now.
      return known.describedAt < queueEmpty ? { ...known.actor, isProven: true } : known.actor;
    }
    const live = readProcess(proc, pid);
    if (!live) return undefined;
    const actor = this.#actorOf(pid, { live, record: undefined, now });
    this.#remember(pid, { actor, live, notedAt: undefined, now });
    return actor;
  }

  #describeImage(pid: number, { record, isPresent, now }: Shot): Actor {
    const known = this.#remembered.get(pid);
    if (known && known.notedAt === record.notedAt) return known.actor;
    const found = isPresent ? readProcess(this.#settings.proc, pid) : undefined;
    // The process may have executed another program since the record was read: never mix the two.
    const live = found && this.#runs(found, pid, record) ? found : undefined;
    const actor = this.#actorOf(pid, { live, record, now });
    this.#remember(pid, { actor, live, notedAt: record.notedAt, now });
    return actor;
  }

  #runs(live: LiveProcess, pid: number, record: ExecRecord): boolean {
    if (this.#recordOf(pid)?.notedAt !== record.notedAt) return false;
    if (live.isExiting || !live.executable || !record.executable) return true;
    return live.executable.ino === record.executable.ino;
  }

  #remember(
    pid: number,
    { actor, live, notedAt, now }: Pick<Remembered, "actor" | "notedAt"> & Omit<Subject, "record">,
  ): void {
    if (this.#remembered.size >= mostRemembered) this.#remembered.clear();
    this.#remembered.set(pid, {
      actor,
      startedAt: live?.startedAt,
      comm: live?.comm,
      executable: live?.executable,
      notedAt,
      describedAt: monotonic(),
      until: now + rememberedFor,
    });
  }

  #isSame(pid: number, known: Remembered, now: number): boolean {
    if (known.notedAt !== undefined) return false;
    const stat = readStat(this.#settings.proc, pid);
    if (!stat) return now < known.until;
    if (stat.startedAt !== known.startedAt || stat.comm !== known.comm) return false;
    return isSameFile(readExecutable(this.#settings.proc, pid), known.executable);
  }

  #imagesIn(pid: number, records: readonly ExecRecord[], since: number): readonly Image[] {
    const { root, maps } = this.#settings;
    const images = records.map((record) => {
      const cmdline = maps && readArguments(maps, pid, record);
      return {
        id: String(record.notedAt),
        from: Number(record.notedAt) / 1e6,
        since,
        comm: record.comm,
        ...programOf({ live: undefined, record }, root),
        ...(cmdline && cmdline.length > 0 ? { cmdline: redactArguments(cmdline) } : {}),
      };
    });
    const oldest = records.at(-1);
    // It ran something before the history's oldest record of it, perhaps since the time in question.
    const isWhole =
      !oldest || oldest.notedAt === oldest.forkedAt || oldest.notedAt <= nanoseconds(since);
    return isWhole ? images : [...images, { id: "0", from: 0, since, comm: "" }];
  }

  #imagesOf(pid: number): readonly ExecRecord[] {
    const { maps } = this.#settings;
    return maps ? readImages(maps, pid) : [];
  }

  #actorOf(pid: number, { live, record, now }: Subject): Actor {
    const comm = live?.comm ?? record?.comm;
    const uid = live?.uid ?? record?.uid;
    const cmdline = this.#cmdlineOf(pid, { live, record });
    const parents = this.#parents({ live, record });
    const loginUid = live ? live.loginUid : this.#loginUidOf(parents);
    const ancestry = parents.map(({ comm: name }) => name);
    const self = relativeOf({ pid, comm: comm ?? "" }, { live, record });
    const lineage: readonly Relative[] = [self, ...parents];
    const cgroup = this.#cgroupOf({ live, record });
    const identity = cgroup === undefined ? undefined : parseCgroupPath(cgroup);
    return {
      pid,
      ...(comm === undefined ? {} : { comm }),
      ...programOf({ live, record }, this.#settings.root),
      ...(cmdline.length > 0 ? { cmdline: redactArguments(cmdline) } : {}),
      ...(record ? { executedAt: Number(record.notedAt) / 1e6 } : {}),
      ...(uid === undefined ? {} : { uid }),
      ...(loginUid === undefined ? {} : { loginUid }),
      ...(ancestry.length === 0 ? {} : { ancestry }),
      lineage,
      ...(cgroup === undefined ? {} : { cgroup }),
      ...(identity ? { container: this.#containers.describe(identity, now) } : {}),
    };
  }

  /** Undefined: dead, and no note says whether it ran in a container. */
  #cgroupOf({ live, record }: Omit<Subject, "now">): string | undefined {
    const path = live && chooseCgroup(live.cgroups);
    if (live && !live.isExiting) return path;
    const isNamed = path !== undefined && parseCgroupPath(path) !== undefined;
    return isNamed ? path : record && this.#cgroups.pathOf(record);
  }

  /** An exiting process has lost its own. */
  #cmdlineOf(pid: number, { live, record }: Omit<Subject, "now">): readonly string[] {
    if (live && live.cmdline.length > 0) return live.cmdline;
    const { maps } = this.#settings;
    return (maps && record && readArguments(maps, pid, record)) ?? [];
  }

  /** Nearest first. The history knows the parent that forked it, /proc the one that adopted it. */
  #parents(first: Evidence): readonly Parent[] {
    const parents: Parent[] = [];
    let child = first;
    while (parents.length < mostAncestors) {
      const pid = child.record?.parent || child.live?.parent || 0;
      if (pid <= 0) break;
      const parent = this.#evidenceOf(pid, child);
      const then = child.record?.parentComm;
      const name = hasChanged(parent, child)
        ? then
        : (parent?.live?.comm ?? parent?.record?.comm ?? then);
      if (name === undefined || name === "") break;
      const isLiving = parent?.live !== undefined;
      parents.push({ ...relativeOf({ pid, comm: name }, parent), isLiving });
      if (!parent || parents.some((one, at) => one.pid === pid && at < parents.length - 1)) break;
      child = parent;
    }
    return parents;
  }

  /** Undefined: no process has this pid, or one younger than the child. */
  #evidenceOf(pid: number, child: Evidence): Evidence | undefined {
    const record = this.#recordOf(pid);
    const live = readStat(this.#settings.proc, pid);
    const youngRecord =
      record !== undefined && child.record !== undefined && record.forkedAt > child.record.forkedAt;
    const youngLive = live && child.live && live.startedAt > child.live.startedAt;
    if ((!record && !live) || (youngRecord && child.record?.forkedAt !== 0n) || youngLive)
      return undefined;
    return { record, live };
  }

  #loginUidOf(parents: readonly Parent[]): number | undefined {
    const living = parents.find(({ isLiving }) => isLiving);
    return living && readLoginUid(this.#settings.proc, living.pid);
  }

  #recordOf(pid: number): ExecRecord | undefined {
    const { maps } = this.#settings;
    return maps && readHistory(maps, pid);
  }
}

/** Whether the parent has executed another program since the fork. */
function hasChanged(parent: Evidence | undefined, child: Evidence): boolean {
  const forkedAt = child.record?.forkedAt ?? 0n;
  return forkedAt > 0n && (parent?.record?.notedAt ?? 0n) > forkedAt;
}

function isSameFile(one: Actor["executable"], other: Actor["executable"]): boolean {
  return one?.dev === other?.dev && one?.ino === other?.ino;
}

interface Evidence {
  readonly live: ProcessStat | undefined;
  readonly record: ExecRecord | undefined;
}

interface Subject extends Evidence {
  readonly live: LiveProcess | undefined;
  readonly now: number;
}

/** One of the programs that a process ran. */
interface Shot {
  readonly record: ExecRecord;
  readonly isPresent: boolean;
  readonly now: number;
}

/** The programs that still ran after this time, nanoseconds since boot; the present one is always among them. */
function runningSince(images: readonly ExecRecord[], since: bigint): readonly ExecRecord[] {
  return images.filter((_, at) => (images[at - 1]?.notedAt ?? since) >= since);
}

/** It executed this program after that time, and which one it ran before is no longer known. */
function isLateExecution({ notedAt, forkedAt }: ExecRecord, since: bigint): boolean {
  return notedAt >= since && notedAt !== forkedAt;
}

function nanoseconds(milliseconds: number): bigint {
  return BigInt(Math.min(Math.floor(milliseconds * 1e6), Number.MAX_SAFE_INTEGER));
}

/** Milliseconds on the clock of the exec history. */
function monotonic(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

interface Parent extends Relative {
  readonly isLiving: boolean;
}

/** USER_HZ: the unit of times in /proc is a hundredth of a second (proc_pid_stat(5)). */
const tick = 10;

function relativeOf(who: Pick<Relative, "pid" | "comm">, evidence: Evidence | undefined): Relative {
  const { live, record } = evidence ?? {};
  const forkedAt = record?.forkedAt ?? 0n;
  if (forkedAt > 0n) return { ...who, startedAt: Number(forkedAt) / 1e6 };
  return live ? { ...who, startedAt: live.startedAt * tick } : who;
}
