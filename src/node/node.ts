import { fileURLToPath } from "node:url";
import { IntegrityError } from "../core/error.ts";
import { isBelow, printable } from "../core/path.ts";
import type { Policy, RuleTree } from "../core/policy/rule.ts";
import { compileRules } from "../core/policy/rules.ts";
import type { Rules } from "../core/policy/rules.ts";
import { Observer } from "../observe/observer.ts";
import { detectPolicy } from "../policy/detect.ts";
import { loadPlacedPolicy, loadPolicy } from "../policy/load.ts";
import type { PlacedPolicy } from "../policy/load.ts";
import type { Rows } from "../baseline/rows.ts";
import type { Settings } from "../config/settings.ts";
import { peekStatement } from "./state.ts";

/** Where the shipped policies are, both from src/ and from dist/. */
export const policyDirs: readonly string[] = [
  fileURLToPath(new URL("../../baselines", import.meta.url)),
];

/** The node's root, and the watched part of it. */
export interface Node extends Disposable {
  readonly root: string;
  readonly policy: Policy;
  readonly index: RuleTree;
  readonly rules: Rules;
  readonly observer: Observer;
}

/** With the policy of the settings, unless the caller has read it. */
export async function openNode(
  settings: Pick<Settings, "root" | "policy" | "state">,
  given?: Policy,
): Promise<Node> {
  const observer = openObserver(settings.root);
  try {
    const policy = given ?? (await policyOf(settings, observer));
    const rules = compileRules(policy.rules);
    return {
      root: settings.root,
      policy,
      rules,
      index: without(rules, ownFiles(settings.state)),
      observer,
      [Symbol.dispose]: () => observer[Symbol.dispose](),
    };
  } catch (error) {
    observer[Symbol.dispose]();
    throw error;
  }
}

/** Whether another directory, or none, is at the root's path now. */
export function isReplaced({ root, observer }: Node): boolean {
  return !observer.isRoot(root);
}

function openObserver(root: string): Observer {
  try {
    return new Observer(root);
  } catch (cause) {
    if (!(cause instanceof IntegrityError) || cause.code !== "SYSCALL") throw cause;
    throw new IntegrityError("CONFIG_INVALID", `root ${root}: ${cause.message}`, {
      hint: "give the directory where the node's root is seen with --root DIR",
      cause,
    });
  }
}

/** The policy of the settings, or the one that fits the node. `fresh`: ignore the policy of the baseline. */
export async function readPolicy(
  settings: Pick<Settings, "root" | "policy" | "state">,
  { fresh = false }: { readonly fresh?: boolean } = {},
): Promise<Policy> {
  using observer = openObserver(settings.root);
  return await policyOf(fresh ? { policy: settings.policy } : settings, observer);
}

/** The same with the place of each rule. */
export async function readPlacedPolicy(
  settings: Pick<Settings, "root" | "policy" | "state">,
): Promise<PlacedPolicy> {
  using observer = openObserver(settings.root);
  return await loadPlacedPolicy(await namesOfPolicies(settings, observer), { dirs: policyDirs });
}

type Choice = Pick<Settings, "policy"> & Partial<Pick<Settings, "state">>;

async function policyOf(choice: Choice, observer: Observer): Promise<Policy> {
  return await loadPolicy(await namesOfPolicies(choice, observer), { dirs: policyDirs });
}

async function namesOfPolicies(
  { policy: given, state }: Choice,
  observer: Observer,
): Promise<readonly string[]> {
  const names: string[] = [];
  for (const name of given) {
    if (name !== "auto") names.push(name);
    else {
      const exists = (path: string): boolean => !!observer.observe(path, { hash: false });
      const approved = approvedUnder(state).filter((one) => !given.includes(one));
      names.push(await detectPolicy(policyDirs, { exists, approved }));
    }
  }
  return names;
}

/** Names of the policies under which the baseline was signed, without included ones. */
function approvedUnder(state: string | undefined): readonly string[] {
  const statement = state === undefined ? undefined : peekStatement(state);
  return statement?.policy.name.split("+") ?? [];
}

/** Refuses mistyped paths: unwatched ones, and ones that neither exist nor existed. */
export function requireKnown(
  node: Node,
  paths: readonly string[],
  approved: Pick<Rows, "paths">,
): void {
  for (const path of paths) {
    const isWatched = node.index.find(path) !== undefined || node.index.mayMatchBelow(path);
    if (!isWatched)
      throw new IntegrityError("USAGE", `path ${printable(path)}: no rule watches it`, {
        hint: `see: fim-agent policy explain ${printable(path)}`,
      });
    const isApproved = approved.paths(path)[Symbol.iterator]().next().done !== true;
    if (!isApproved && !node.observer.observe(path, { hash: false }))
      throw new IntegrityError(
        "USAGE",
        `path ${printable(path)}: neither there nor in the baseline`,
        {
          hint: "write it as the node sees it, without --root in front",
        },
      );
  }
}

/** The agent's own state, whose watch would report its own writes. */
function ownFiles(state: string): readonly string[] {
  const names = [
    "fim.db",
    "fim.db-wal",
    "fim.db-shm",
    "capture.tmp",
    "anchor.json",
    "probe",
    "lock",
  ];
  return names.map((name) => `${state}/${name}`);
}

function without(index: RuleTree, own: readonly string[]): RuleTree {
  const isOwn = (path: string): boolean => own.some((one) => path === one || isBelow(path, one));
  return {
    roots: index.roots,
    find: (path) => (isOwn(path) ? undefined : index.find(path)),
    mayMatchBelow: (dir) => !isOwn(dir) && index.mayMatchBelow(dir),
    inside: (dir) => index.inside(dir),
  };
}
