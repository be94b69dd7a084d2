import type { FileClass, Severity } from "../policy/rule.ts";
import type { Actor, EngineName, Step } from "./hint.ts";
import type { Mount } from "./mount.ts";
import type { Observation } from "./observation.ts";

/** An attribute in which two observations of a path can differ. Size goes with content. */
export const fields = [
  "content",
  "type",
  "mode",
  "owner",
  "group",
  "target",
  "acl",
  "capabilities",
  "selinux",
  "xattr",
  "flags",
  "links",
  "inode",
  "mtime",
] as const;
export type Field = (typeof fields)[number];
/** Alone they are no change of what a file says or who may use it. */
export const slight: readonly Field[] = ["mtime", "inode", "links"];

export type ChangeKind =
  | "created"
  | "deleted"
  | "renamed"
  | "modified"
  | "transient"
  | "mounted"
  | "unmounted"
  | "unreadable";

interface At {
  readonly path: string;
}

/** What happened at one path. */
export type Change =
  | (At & { readonly kind: "created"; readonly after: Observation })
  | (At & { readonly kind: "deleted"; readonly before: Observation })
  | (At & {
      readonly kind: "renamed";
      readonly from: string;
      readonly fields: readonly Field[];
      /** The same file under its old name, or the overwritten file when it replaced a known one. */
      readonly before: Observation;
      readonly after: Observation;
      /** Of a directory: how many known paths below it moved along. */
      readonly count?: number;
    })
  | (At & {
      readonly kind: "modified";
      readonly fields: readonly Field[];
      readonly before: Observation;
      readonly after: Observation;
      /** The temporary name from which a fresh file was renamed over this path. */
      readonly via?: string;
    })
  | (At & {
      readonly kind: "transient";
      readonly steps: readonly Step[];
      readonly before?: Observation;
    })
  | (At & {
      readonly kind: "mounted" | "unmounted";
      readonly mount: Mount;
      readonly before?: Observation;
    })
  | (At & {
      readonly kind: "unreadable";
      /** The errno's name. */
      readonly errno: string;
      readonly before?: Observation;
      readonly after?: Observation;
    });

const slightSteps: readonly Step[] = ["attributes", "linked"];

/** An attribute was set for a moment, or to the value that it had. */
export function isBriefAttribute(change: Change): boolean {
  return change.kind === "transient" && change.steps.every((one) => slightSteps.includes(one));
}

export type Verdict = "unexpected" | "approved";

/** A change and its judgement: one line of `check`, one alert. */
export interface JudgedChange {
  readonly change: Change;
  /** "<policy>/<id>" */
  readonly rule: string;
  readonly class: FileClass;
  readonly severity: Severity;
  readonly verdict: Verdict;
  /** An allowed writer made it. Absent: it is unexpected, or its class expects it from any process. */
  readonly byAllowedWriter?: true;
  /** Sentences that say what a difference means. Never hold a secret. */
  readonly meaning: readonly string[];
  readonly attack: readonly string[];
  /** The rule's reason, in a sentence. */
  readonly why: string;
  /** Milliseconds since 1970: of the kernel's event, else of the observation. */
  readonly at: number;
  readonly engine?: EngineName;
  readonly actor?: Actor;
  /** Shared by the changes of one procedure, such as one run of a package manager. Absent: its process is unknown. */
  readonly incident?: string;
  /** The change happened while the agent was not running. */
  readonly offline?: true;
  /** The path is again as the baseline has it. */
  readonly restored?: true;
}

/** Many like changes under one rule, reported as one. */
export interface FoldedChange extends JudgedChange {
  readonly count: number;
  readonly examples: readonly string[];
  /** Milliseconds since 1970 of the first one; `at` is that of the last. */
  readonly since: number;
}
