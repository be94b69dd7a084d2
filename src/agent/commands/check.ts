import type { JudgedChange } from "../../core/change/change.ts";
import { compare } from "../../core/change/compare.ts";
import type { Look } from "../../core/change/compare.ts";
import { withoutShown } from "../../core/change/beneath.ts";
import { mountsSinceApproval } from "../../reconcile/approved/mounts.ts";
import { mountChange } from "../../reconcile/reconcile.ts";
import type { MountHint } from "../../reconcile/reconcile.ts";
import { comparePaths, isBelow } from "../../core/path.ts";
import { severities } from "../../core/policy/rule.ts";
import type { ApprovedState } from "../../core/record/approval.ts";
import { pair } from "../../core/change/pair.ts";
import type { Statement } from "../../core/record/statement.ts";
import { HashPool } from "../../observe/hash/pool.ts";
import { verifyChain } from "../../outbox/verify.ts";
import { namesOf, sinceApproval } from "../../reconcile/approved/approvals.ts";
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
  /** Differences from the baseline that `watch` approved, in their last approved state. */
  readonly approved: readonly JudgedChange[];
  /** Why the approvals do not count. */
  readonly distrust?: string;
  readonly unseen: readonly Unseen[];
  /** Readable now, unreadable when approved: there is nothing to compare it with. */
  readonly uncompared: readonly Unseen[];
  /** Paths that the policy of the baseline did not watch: neither approved nor changed. */
  readonly unapproved: readonly string[];
  /** How the policy in force is weaker than the signed one. */
  readonly weaker: readonly Weakening[];
}

interface CheckOptions {
  readonly paths: readonly string[];
  readonly onProgress?: (progress: Progress) => void;
}

/** Compares the node with its baseline: every path, or some paths and everything below them. */
export async function findDrift(node: Node, state: State, options: CheckOptions): Promise<Drift> {
  const statement = state.baseline.trust();
  requireKnown(node, options.paths, state.baseline.rows);
  using pool = new HashPool({ root: node.root, workers: hashWorkers });
  const known: NodeView["known"] = {
    get: (path) => state.baseline.rows.get(path),
    below: (dir) => state.baseline.rows.below(dir),
    findByInode: () => [],
  };
  const view = makeNodeView(node, { known, pool });
  const wasWatched = formerIndex(state, statement, node);
  const { looks, unseen, unapproved } = await lookAt(options, {
    wasWatched,
    view,
    differing: (run) => differing({ ...run, node, pool, known }, state.baseline.rows),
  });
  const seen = looks.filter(({ path }) => wasWatched(path));
  const restless = seen.flatMap(({ path, after }) => (after ? unrest(node, path, after) : []));
  const mounts = mountsSinceApproval(statement.mounts, node).filter(({ mount }) =>
    concerns(mount.path, options.paths),
  );
  const judged = judgeLooks({ seen, mounts }, view, trustedApprovals(state));
  const changed = new Set(judged.changes.flatMap(({ change }) => namesOf(change)));
  return {
    ...judged,
    statement,
    unseen: [...unseen, ...restless],
    uncompared: seen.flatMap(neverRead).filter(({ path }) => !changed.has(path)),
    unapproved,
    weaker: weakerThanSigned(node, state, statement),
  };
}

interface Sight {
  readonly wasWatched: (path: string) => boolean;
  readonly view: NodeView;
  readonly differing: (
    run: Pick<CheckOptions, "onProgress"> & { readonly from?: string },
  ) => ReturnType<typeof differing>;
}

/** Looks at every path that differs from its row in the baseline. */
async function lookAt(
  { paths, onProgress }: CheckOptions,
  sight: Sight,
): Promise<Pick<Drift, "unseen" | "unapproved"> & { readonly looks: readonly Look[] }> {
  const looks = new Looks(sight.view);
  const unseen: Unseen[] = [];
  const unapproved: string[] = [];
  for (const from of paths.length > 0 ? paths : [undefined]) {
    const found = await sight.differing({
      ...(from !== undefined && { from }),
      ...(onProgress && { onProgress }),
    });
    unseen.push(...found.unseen);
    for (const path of found.paths) {
      if (sight.wasWatched(path)) await looks.at(path);
      else unapproved.push(path);
    }
  }
  return { looks: looks.all(), unseen, unapproved };
}

interface Trusted {
  readonly approvals: ReadonlyMap<string, ApprovedState>;
  readonly distrust?: string;
}

/** Compares with what was approved last: by `watch`, else by a person. */
function judgeLooks(
  { seen, mounts }: { readonly seen: readonly Look[]; readonly mounts: readonly MountHint[] },
  view: NodeView,
  { approvals, distrust }: Trusted,
): Pick<Drift, "changes" | "approved" | "distrust"> {
  const layered = seen.map((look) => {
    const approval = approvals.get(look.path);
    return approval ? sinceApproval(look, approval) : look;
  });
  const origin = { at: Date.now(), actors: [], offline: false };
  const byPath = new Map(seen.map((look) => [look.path, look]));
  const mountPoints = mounts.map(({ mount }) => mount.path);
  const changes = [
    ...mounts.map((hint) => mountChange(hint, byPath, view)),
    ...withoutShown(pair(layered), mountPoints),
  ]
    .map((change) => judgeChange(change, origin, view))
    .filter((change) => change !== undefined)
    .toSorted(bySeverity);
  const changed = new Set(changes.flatMap(({ change }) => namesOf(change)));
  const approved = seen
    .filter(({ path }) => !changed.has(path))
    .flatMap((look) => approvedIn(look, approvals.get(look.path), view));
  return { changes, approved, ...(distrust !== undefined && { distrust }) };
}

/** At, above or below one of the paths; of no paths, everything. */
function concerns(mountPoint: string, paths: readonly string[]): boolean {
  if (paths.length === 0) return true;
  return paths.some(
    (path) => path === mountPoint || isBelow(mountPoint, path) || isBelow(path, mountPoint),
  );
}

/** The approvals since the baseline, if the chain that holds them is whole and signed. */
function trustedApprovals(state: State): Trusted {
  const all = state.approvals.all();
  if (all.length === 0) return { approvals: new Map() };
  const report = verifyChain(state.db, [state.key.publicKey, ...state.key.past]);
  if (report.ok) return { approvals: new Map(all.map((one) => [one.path, one])) };
  return { approvals: new Map(), distrust: `record ${report.seq}: ${report.fault}` };
}

/** The difference from the baseline that an approval covers. */
function approvedIn(
  look: Look,
  approval: ApprovedState | undefined,
  view: NodeView,
): readonly JudgedChange[] {
  const change = approval && compare(look);
  const rule = view.index.find(look.path)?.rule;
  if (!change || !rule) return [];
  return [
    {
      change,
      rule: approval.rule,
      class: rule.class,
      severity: "info",
      verdict: "approved",
      meaning: [],
      attack: [],
      why: rule.why,
      at: approval.at,
      actor: approval.writer,
    },
  ];
}

/** The most severe first, then by path. */
function bySeverity(a: JudgedChange, b: JudgedChange): number {
  const rank = severities.indexOf(b.severity) - severities.indexOf(a.severity);
  return rank === 0 ? comparePaths(a.change.path, b.change.path) : rank;
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
