import { parseGlob } from "./globs.ts";
import { joinPath } from "../path.ts";
import type { Rule, RuleIndex } from "./rule.ts";
import { compileRules } from "./rules.ts";

/** A rule that is valid and does not do what its author expects. */
export interface Trap {
  /** Place of the rule in the policy. */
  readonly rule: number;
  readonly message: string;
  /** The policy must not be used like this. */
  readonly isFault: boolean;
}

/** What is known of a path on this node. "script": its text begins with "#!". */
export type OnNode =
  | { readonly kind: "missing" | "directory" | "script" }
  | { readonly kind: "file"; readonly name: string };

export interface TrapFacts {
  readonly onNode: (path: string) => OnNode;
  /** Whether the rule comes from a policy that is made for several distributions: some writers are missing on each. */
  readonly isShipped: (rule: number) => boolean;
}

/** The kubelet runs what is in these directories. */
const staticPods = [
  "/etc/kubernetes/manifests",
  "/etc/kubelet.d",
  "/var/lib/rancher/rke2/agent/pod-manifests",
  "/var/lib/rancher/k3s/agent/pod-manifests",
];

/** Programs that do what their arguments or their input say. */
const interpreter =
  /^(?:(?:ba|da|a|k|mk|z|c|tc|fi)?sh|busybox|toybox|python[\d.]*|perl[\d.]*|ruby[\d.]*|node|nodejs|deno|bun|php[\d.]*|lua(?:jit)?[\d.]*|[gmn]?awk|tclsh[\d.]*|expect|env|xargs|sudo|su|nsenter|chroot|setpriv|unshare|timeout|nohup|find|ssh|java)$/;

/** Every trap of a merged policy. */
export function trapsOf(rules: readonly Rule[], facts: TrapFacts): readonly Trap[] {
  const index = compileRules(rules);
  return rules.flatMap((rule, at) =>
    [
      ...wideTraps(rule),
      ...excludeTraps(rule, facts, facts.isShipped(at)),
      ...writerTraps(rule, facts, facts.isShipped(at)),
      ...staticPodTraps(rule, index),
    ]
      .map((message) => ({ rule: at, message: `${rule.id}: ${message}`, isFault: false }))
      .concat(
        unwatchedWriters(rule, index).map((writer) => ({
          rule: at,
          message: `${rule.id}: writer ${writer}: no rule watches it, so a replaced one is believed`,
          isFault: true,
        })),
      ),
  );
}

function wideTraps({ paths }: Rule): readonly string[] {
  return paths
    .filter((glob) => /^\/(?:\{[^{}]*,\}|\*\*)*\*\*$/.test(glob))
    .map((glob) => `path ${glob} watches the whole filesystem, /proc, /sys and every container`);
}

/** "dir" excludes the directory itself and nothing below it. */
function excludeTraps(rule: Rule, { onNode }: TrapFacts, isShipped: boolean): readonly string[] {
  const open = compileRules([{ ...rule, exclude: [] }]);
  return rule.exclude
    .filter((glob) => {
      const parsed = parseGlob(glob);
      if ("problem" in parsed || !parsed.globs.every(({ literal }) => literal)) return false;
      const { kind } = onNode(glob);
      if (kind === "file" || kind === "script" || (kind === "missing" && isShipped)) return false;
      return open.find(joinPath(glob, "name")) !== undefined;
    })
    .map((glob) => `exclude ${glob} excludes only that path itself; what is below it: ${glob}/**`);
}

function writerTraps(rule: Rule, { onNode }: TrapFacts, isShipped: boolean): readonly string[] {
  return rule.writers.flatMap((writer) => {
    const seen = onNode(writer);
    const name = seen.kind === "file" ? seen.name : writer.slice(writer.lastIndexOf("/") + 1);
    if (interpreter.test(name))
      return [`writer ${writer} is a shell or an interpreter: any command may write with it`];
    if (seen.kind === "script")
      return [`writer ${writer} is a script: the process is its interpreter and never approved`];
    // A container's program is in its image.
    const isExpected = seen.kind !== "missing" || isShipped || rule.containerWriters !== false;
    return isExpected ? [] : [`writer ${writer} does not exist on this node`];
  });
}

function staticPodTraps(rule: Rule, index: RuleIndex): readonly string[] {
  return staticPods
    .filter((dir) => index.find(joinPath(dir, "pod.yaml"))?.rule === rule)
    .flatMap((dir) => [
      ...(rule.class === "volatile" ? [`class volatile lets static pods in ${dir} change`] : []),
      ...(rule.severity === "info" ? [`severity info hides a changed static pod in ${dir}`] : []),
    ]);
}

function unwatchedWriters({ writers }: Rule, index: RuleIndex): readonly string[] {
  return writers.filter((path) => !namesOf(path).some((name) => index.find(name) !== undefined));
}

/** Where /usr is merged, /bin, /sbin and /lib are links to it. */
function namesOf(path: string): readonly string[] {
  return /^\/(?:bin|sbin|lib\w*)\//.test(path) ? [path, `/usr${path}`] : [path];
}
