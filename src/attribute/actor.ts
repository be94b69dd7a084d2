import { chooseCgroup, parseCgroupPath } from "../core/cgroup.ts";
import { redactArguments } from "../core/cmdline.ts";
import type { Actor } from "../core/change/hint.ts";
import { Cgroups } from "./cgroups.ts";
import { readCreation } from "./creations.ts";
import type { Inode } from "./creations.ts";
import { ContainerNames } from "./container.ts";
import { readArguments, readHistory } from "./exec-history.ts";
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

interface Remembered {
  readonly actor: Actor;
  readonly startedAt: number | undefined;
  readonly comm: string | undefined;
  readonly executable: Actor["executable"];
  readonly notedAt: bigint | undefined;
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

  /** Undefined: nothing is known of it. Ask as early as possible: short-lived processes vanish. */
  describe(pid: number, now: number): Actor | undefined {
    if (pid <= 0) return undefined;
    const record = this.#recordOf(pid);
    const known = this.#remembered.get(pid);
    if (known && this.#isSame(pid, known, { record, now })) return known.actor;
    const live = readProcess(this.#settings.proc, pid);
    if (!live && !record) return undefined;
    const actor = this.#actorOf(pid, { live, record, now });
    if (this.#remembered.size >= mostRemembered) this.#remembered.clear();
    this.#remembered.set(pid, {
      actor,
      startedAt: live?.startedAt,
      comm: live?.comm,
      executable: live?.executable,
      notedAt: record?.notedAt,
      until: now + rememberedFor,
    });
    return actor;
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
    const record = this.#recordOf(own.pid);
    return record && record.forkedAt > own.at ? undefined : this.describe(own.pid, now);
  }

  [Symbol.dispose](): void {
    this.#cgroups[Symbol.dispose]();
  }

  /** A pid can pass to another process, and a process can execute another program. */
  #isSame(
    pid: number,
    known: Remembered,
    { record, now }: { readonly record: ExecRecord | undefined; readonly now: number },
  ): boolean {
    if (record?.notedAt !== known.notedAt) return false;
    const stat = readStat(this.#settings.proc, pid);
    if (stat && (stat.startedAt !== known.startedAt || stat.comm !== known.comm)) return false;
    // The record shows an execution of a program with the same name, where there is a history.
    if (stat && !record)
      return isSameFile(readExecutable(this.#settings.proc, pid), known.executable);
    if (stat) return true;
    return record !== undefined || now < known.until;
  }

  #actorOf(pid: number, { live, record, now }: Subject): Actor {
    const comm = live?.comm ?? record?.comm;
    const uid = live?.uid ?? record?.uid;
    const cmdline = this.#cmdlineOf(pid, { live, record });
    const parents = this.#parents({ live, record });
    const loginUid = live ? live.loginUid : this.#loginUidOf(parents);
    const ancestry = parents.map(({ comm: name }) => name);
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
      parents.push({ pid, comm: name, isLiving: parent?.live !== undefined });
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

interface Parent {
  readonly pid: number;
  readonly comm: string;
  readonly isLiving: boolean;
}
