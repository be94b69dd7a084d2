import type { JudgedChange } from "../../core/change/change.ts";
import type { Look } from "../../core/change/compare.ts";
import { pair } from "../../core/change/pair.ts";
import type { Statement } from "../../core/record/statement.ts";
import { HashPool } from "../../observe/hash/pool.ts";
import { judgeChange } from "../../reconcile/judge.ts";
import { Looks } from "../../reconcile/look.ts";
import type { NodeView } from "../../reconcile/look.ts";
import { compileRules } from "../../core/policy/rules.ts";
import type { Weakening } from "../../core/policy/weaker.ts";
import { signedRules, weakerThanSigned } from "../policy-difference.ts";
import { hashWorkers } from "./capture.ts";
import { requireKnown } from "../../node/node.ts";
import type { Node } from "../../node/node.ts";
import { differing, makeNodeView, unrest } from "../../reconcile/full-sweep.ts";
import type { Progress, Unseen } from "../../reconcile/full-sweep.ts";
import type { State } from "../../node/state.ts";

export interface Drift {
  readonly statement: Statement;
  readonly changes: readonly JudgedChange[];
  readonly unseen: readonly Unseen[];
  /** Readable now, unreadable when approved: there is nothing to compare it with. */
  readonly uncompared: readonly Unseen[];
  /** Paths that the policy of the baseline did not watch: neither approved nor changed. */
  readonly unapproved: readonly string[];
  /** How the policy in force is weaker than the signed one. */
  readonly weaker: readonly Weakening[];
}

/** Compares the node with its baseline: every path, or some paths and everything below them. */
export async function findDrift(
  node: Node,
  state: State,
  options: {
    readonly paths: readonly string[];
    readonly onProgress?: (progress: Progress) => void;
  },
): Promise<Drift> {
  const statement = state.baseline.trust();
  requireKnown(node, options.paths, state.baseline.rows);
  using pool = new HashPool({ root: node.root, workers: hashWorkers });
  const known: NodeView["known"] = {
    get: (path) => state.baseline.rows.get(path),
    below: (dir) => state.baseline.rows.below(dir),
    findByInode: () => [],
  };
  const view = makeNodeView(node, { known, pool });
  const looks = new Looks(view);
  const wasWatched = formerIndex(state, statement, node);
  const unseen: Unseen[] = [];
  const unapproved: string[] = [];
  const { onProgress } = options;
  for (const from of options.paths.length > 0 ? options.paths : [undefined]) {
    const run = { node, pool, known, ...(from !== undefined && { from }) };
    const pass = await differing(
      { ...run, ...(onProgress && { onProgress }) },
      state.baseline.rows,
    );
    unseen.push(...pass.unseen);
    for (const path of pass.paths) {
      if (wasWatched(path)) await looks.at(path);
      else unapproved.push(path);
    }
  }
  const at = Date.now();
  const origin = { at, actors: [], offline: false };
  const seen = looks.all().filter(({ path }) => wasWatched(path));
  const changes = pair(seen)
    .map((change) => judgeChange(change, origin, view))
    .filter((change) => change !== undefined)
    .toSorted((a, b) => (a.change.path < b.change.path ? -1 : 1));
  for (const { path, after } of seen) if (after) unseen.push(...unrest(node, path, after));
  const changed = new Set(changes.map(({ change }) => change.path));
  const uncompared = seen.flatMap(neverRead).filter(({ path }) => !changed.has(path));
  const weaker = weakerThanSigned(node, state, statement);
  return { statement, changes, unseen, uncompared, unapproved, weaker };
}

function neverRead({ path, before, after }: Look): readonly Unseen[] {
  const errno = before?.unreadable;
  return errno === undefined || !after || after.unreadable !== undefined ? [] : [{ path, errno }];
}

/** Whether the policy in force when the baseline was signed, or an earlier one, watched a path. */
function formerIndex(state: State, statement: Statement, node: Node): (path: string) => boolean {
  if (statement.policy.digest === node.policy.digest) return () => true;
  const rules = signedRules(state, statement);
  if (!rules) return () => true;
  const former = compileRules(rules);
  return (path) => former.find(path) !== undefined || state.baseline.rows.get(path) !== undefined;
}
