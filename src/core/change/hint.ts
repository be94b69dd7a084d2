import type { Mount } from "./mount.ts";

export type EngineName = "fanotify" | "chokidar" | "sweep" | "mounts";

/** The step that the kernel reported. "changed": from an engine that cannot say. */
export type Step =
  | "created"
  | "deleted"
  | "renamed"
  | "modified"
  | "closed"
  | "attributes"
  | "linked"
  | "changed";

/** A program that a process ran. */
export interface Image {
  /** The time of its exec record, nanoseconds since boot. */
  readonly id: string;
  /** When it began to run, milliseconds on the monotonic clock. */
  readonly from: number;
  /** The earliest time of the event in question, milliseconds on the monotonic clock. */
  readonly since: number;
  readonly comm: string;
  readonly exe?: string;
  readonly executable?: { readonly dev: string; readonly ino: string };
  readonly cmdline?: readonly string[];
}

/** A process and its start, as an ancestor. */
export interface Relative {
  readonly pid: number;
  readonly comm: string;
  /** Milliseconds since boot. Absent: unknown. */
  readonly startedAt?: number;
}

/** The process that made a change. Only the pid is always known. */
export interface Actor {
  readonly pid: number;
  readonly comm?: string;
  readonly exe?: string;
  /** Instead of `exe`: the programs that the process ran around the change, when the order is not certain. */
  readonly candidates?: readonly string[];
  /** The programs that the process can have run when it made the change, the latest first. Never shown. */
  readonly images?: readonly Image[];
  /** The program is certain to be the one that made the change. Never shown. */
  readonly isProven?: true;
  /** The identity of the executable, seen while the process lived or noted at its execution. Never shown. */
  readonly executable?: { readonly dev: string; readonly ino: string };
  /** Milliseconds on the monotonic clock of its last execution, or of its fork. Never shown. */
  readonly executedAt?: number;
  /** Present where the process is known only to have changed attributes or closed the file. Never shown. */
  readonly only?: "attributes" | "closed";
  readonly cmdline?: readonly string[];
  readonly uid?: number;
  readonly loginUid?: number;
  /** Names of the living and dead parents, nearest first. */
  readonly ancestry?: readonly string[];
  /** The process and its parents, nearest first. Never shown. */
  readonly lineage?: readonly Relative[];
  readonly cgroup?: string;
  readonly container?: {
    readonly id: string;
    readonly name?: string;
    readonly pod?: string;
    readonly namespace?: string;
    readonly podUid?: string;
  };
}

/** Takes a hint at once. Engines, the mount watcher and the sweeps all end in one. */
export type HintSink = (hint: Hint) => void;

interface From {
  readonly engine: EngineName;
  /** Milliseconds since 1970, with fraction where known. */
  readonly at: number;
}

/** Where to look. Only a transient's evidence and a rename's names are taken as facts. */
export type Hint =
  /** Look at this path. An engine that cannot name the file gives the directory, which is then listed. */
  | (From & {
      readonly kind: "path";
      readonly path: string;
      readonly step: Step;
      /** The old name of a rename, when it lies on a watched path. */
      readonly from?: string;
      /** The other name (a hard link) through which the file was changed. */
      readonly through?: string;
      /** The inode's number, where the event has it. */
      readonly ino?: string;
      readonly actor?: Actor;
    })
  /** Look at this directory and everything below it. */
  | (From & { readonly kind: "tree"; readonly path: string; readonly why: string })
  /** Events were lost: look everywhere and report it. */
  | (From & { readonly kind: "overflow"; readonly detail: string })
  /** This directory cannot be watched by this engine (a limit, an unsupported filesystem). */
  | (From & { readonly kind: "unwatched"; readonly path: string; readonly detail: string })
  | (From & { readonly kind: "mounted" | "unmounted"; readonly mount: Mount })
  /** The engine cannot go on. */
  | (From & { readonly kind: "failed"; readonly detail: string });
