import type { JudgedChange } from "../core/change.ts";
import type { Look } from "../core/compare.ts";
import { pair } from "../core/pair.ts";
import type { Statement } from "../core/statement.ts";
import { sha256 } from "../core/statement.ts";
import { HashPool } from "../observe/pool.ts";
import { judgeChange } from "../reconcile/judge.ts";
import { Looks } from "../reconcile/look.ts";
import type { Eyes } from "../reconcile/look.ts";
import { compileRules } from "../core/rules.ts";
import type { Rule } from "../core/rule.ts";
import { hashWorkers } from "./capture.ts";
import { requireKnown } from "./node.ts";
import type { Node } from "./node.ts";
import { differing, makeEyes, unrest } from "./pass.ts";
import type { Progress, Unseen } from "./pass.ts";
import type { State } from "./state.ts";

export interface Drift {
  readonly statement: Statement;
  readonly changes: readonly JudgedChange[];
  readonly unseen: readonly Unseen[];
  /** What can be read now, and could not when it was approved: nothing is known to compare it with. */
  readonly uncompared: readonly Unseen[];
  /** Paths that the policy of the baseline did not watch: neither approved nor changed. */
  readonly unapproved: number;
}

/** Compares the node with its baseline: everything, or what is at and below some paths. */
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
  const known: Eyes["known"] = {
    get: (path) => state.baseline.rows.get(path),
    below: (dir) => state.baseline.rows.below(dir),
    findByInode: () => [],
  };
  const eyes = makeEyes(node, { known, pool });
  const looks = new Looks(eyes);
  const wasWatched = formerIndex(state, statement, node);
  const unseen: Unseen[] = [];
  let unapproved = 0;
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
      else unapproved += 1;
    }
  }
  const at = Date.now();
  const origin = { at, actors: [], offline: false };
  const seen = looks.all().filter(({ path }) => wasWatched(path));
  const changes = pair(seen)
    .map((change) => judgeChange(change, origin, eyes))
    .filter((change) => change !== undefined)
    .toSorted((a, b) => (a.change.path < b.change.path ? -1 : 1));
  for (const { path, after } of seen) if (after) unseen.push(...unrest(node, path, after));
  const changed = new Set(changes.map(({ change }) => change.path));
  const uncompared = seen.flatMap(neverRead).filter(({ path }) => !changed.has(path));
  return { statement, changes, unseen, uncompared, unapproved };
}

function neverRead({ path, before, after }: Look): readonly Unseen[] {
  const errno = before?.unreadable;
  return errno === undefined || !after || after.unreadable !== undefined ? [] : [{ path, errno }];
}

/** Whether the policy that was in force when the baseline was signed watched a path, or an earlier one did. */
function formerIndex(state: State, statement: Statement, node: Node): (path: string) => boolean {
  if (statement.policy.digest === node.policy.digest) return () => true;
  const text = state.baseline.policy() ?? "[]";
  if (sha256(text) !== statement.policy.digest) return () => true;
  const former = compileRules(JSON.parse(text) as Rule[]);
  return (path) => former.find(path) !== undefined || state.baseline.rows.get(path) !== undefined;
}
