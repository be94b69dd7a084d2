import type { Mount } from "./mount.ts";

export type EngineName = "fanotify" | "chokidar" | "sweep" | "mounts";

/** What the kernel said was done. "changed": an engine that cannot tell. */
export type Step =
  | "created"
  | "deleted"
  | "renamed"
  | "modified"
  | "closed"
  | "attributes"
  | "linked"
  | "changed";

/** Who did it. Everything but the pid is absent where it could not be learned. */
export interface Actor {
  readonly pid: number;
  readonly comm?: string;
  readonly exe?: string;
  /** Which file that is, seen while the process lived or noted when it was executed; as in an observation. Never shown. */
  readonly executable?: { readonly dev: string; readonly ino: string };
  /** Milliseconds on the monotonic clock at which it was made, or executed its program. Never shown. */
  readonly executedAt?: number;
  /** All that it is known to have done to the path, where it is only that. Never shown. */
  readonly only?: "attributes" | "closed";
  readonly cmdline?: readonly string[];
  readonly uid?: number;
  readonly loginUid?: number;
  /** Names of the living and dead parents, nearest first. */
  readonly ancestry?: readonly string[];
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

/** Where to look. It carries no truth but a transient's evidence and a rename's names. */
export type Hint =
  /** Look at this path. Of an engine that cannot name the file: at the directory, which is listed. */
  | (From & {
      readonly kind: "path";
      readonly path: string;
      readonly step: Step;
      /** The old name of a rename, when it lies on a watched path. */
      readonly from?: string;
      /** The other name of the file (a hard link) by which it was done. */
      readonly through?: string;
      readonly actor?: Actor;
    })
  /** Look at this directory and everything below it. */
  | (From & { readonly kind: "tree"; readonly path: string; readonly why: string })
  /** Events were lost: everything must be looked at, and said. */
  | (From & { readonly kind: "overflow"; readonly detail: string })
  /** This directory cannot be watched by this engine (a limit, an unsupported filesystem). */
  | (From & { readonly kind: "unwatched"; readonly path: string; readonly detail: string })
  | (From & { readonly kind: "mounted" | "unmounted"; readonly mount: Mount })
  /** The engine cannot go on. */
  | (From & { readonly kind: "failed"; readonly detail: string });
