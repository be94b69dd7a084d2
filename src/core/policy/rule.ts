/** What a rule expects of its files' content. */
export type FileClass = "immutable" | "rotates" | "append-only" | "sealed" | "volatile";

export const severities = ["info", "low", "medium", "high", "critical"] as const;
export type Severity = (typeof severities)[number];

export function isAtLeast(severity: Severity, least: Severity): boolean {
  return severities.indexOf(severity) >= severities.indexOf(least);
}

/** The more severe of two. */
export function moreSevere(a: Severity, b: Severity): Severity {
  return isAtLeast(a, b) ? a : b;
}

/** How to read a difference of content. "secret" is never shown, not even as a diff. */
export type ContentKind =
  | "text"
  | "kubernetes-manifest"
  | "kubeconfig"
  | "certificate"
  | "kubelet-config"
  | "secret";

/** One rule of a policy, with every default filled in. */
export interface Rule {
  /** "<policy>/<id>", unique in the merged policy. */
  readonly id: string;
  /** Absolute globs on the node's paths. "dir/**" is the directory and everything below it. */
  readonly paths: readonly string[];
  readonly exclude: readonly string[];
  readonly class: FileClass;
  readonly severity: Severity;
  readonly why: string;
  /** Octal digits: this mode or stricter (CIS bit mask over twelve bits). */
  readonly mode?: string;
  /** "user:group" */
  readonly owner?: string;
  /** Executables that may change these files. */
  readonly writers: readonly string[];
  /** Writers may also run inside a container. */
  readonly containerWriters: boolean | "static";
  readonly content: ContentKind;
  readonly validators: readonly string[];
  readonly cis: readonly string[];
  readonly attack: readonly string[];
}

/** A rule's settings where its file says nothing. */
export const ruleDefaults = {
  exclude: [],
  writers: [],
  containerWriters: false,
  content: "text",
  validators: [],
  cis: [],
  attack: [],
} as const satisfies Partial<Rule>;

export interface Policy {
  readonly name: string;
  readonly description: string;
  /** In file order, included files first. */
  readonly rules: readonly Rule[];
  /** SHA-256 (hex) of the merged policy's canonical JSON. */
  readonly digest: string;
}

/** The rule that holds for a path, and the glob of it that matched. */
export interface Match {
  readonly rule: Rule;
  readonly glob: string;
}

/** Rules prepared for finding paths (core/policy/rules.ts). */
export interface RuleIndex {
  /** The rule that holds for the path, or undefined: not watched. */
  find(path: string): Match | undefined;
  /** False: nothing at or below this directory can ever match, do not walk it. */
  mayMatchBelow(dir: string): boolean;
  /** The shortest literal paths that together lead to everything that can match; no root is below another. */
  readonly roots: readonly string[];
}

/** A RuleIndex that also knows what a directory may hold. */
export interface RuleTree extends RuleIndex {
  /** Every rule that may hold for something inside the directory. */
  inside(dir: string): readonly Rule[];
}
