import { canonicalRules } from "../../core/policy/canonical.ts";
import { isUnseen, parseRow } from "../../core/change/observation.ts";
import type { Statement } from "../../core/record/statement.ts";
import { HashPool } from "../../observe/hash/pool.ts";
import { pass, unrest } from "../../reconcile/full-sweep.ts";
import type { Progress, Unseen } from "../../reconcile/full-sweep.ts";
import type { Node } from "../../node/node.ts";
import { recordBaseline } from "./baseline-record.ts";
import { captureStaticPrograms } from "./static-programs.ts";
import type { Settings } from "../../config/settings.ts";
import type { State } from "../../node/state.ts";
import { presentMounts } from "../../reconcile/approved/mounts.ts";
import { rememberMounts } from "../../reconcile/remembered/mounts.ts";
import { rememberWatched } from "../../reconcile/remembered/policy.ts";

interface CaptureOptions {
  readonly settings: Settings;
  readonly reason: string;
  readonly replace: boolean;
  readonly onProgress?: (progress: Progress) => void;
}

interface Captured {
  readonly statement: Statement;
  /** Rules whose writers run in no static pod now. */
  readonly idle: readonly string[];
  readonly unseen: readonly Unseen[];
}

/** Two threads hash as fast as a file system reads on a machine with two cores. */
export const hashWorkers = 2;

/** Observes every watched path, signs the result as approved and stores it as last seen. */
export async function captureBaseline(
  node: Node,
  state: State,
  { settings, reason, replace, onProgress }: CaptureOptions,
): Promise<Captured> {
  using capture = state.baseline.begin({ replace });
  using pool = new HashPool({ root: node.root, workers: hashWorkers });
  const moving: Unseen[] = [];
  const unseen = await pass({
    node,
    pool,
    known: nothingKnown,
    onRows: (rows) => {
      capture.add(rows.filter(isOfSomething));
      for (const [path, row] of rows)
        if (row.includes('"unstable"')) moving.push(...unrest(node, path, parseRow(row)));
    },
    ...(onProgress && { onProgress }),
  });
  const { programs, idle } = await captureStaticPrograms(node);
  const mounts = presentMounts(node);
  const now = new Date().toISOString();
  const rules = canonicalRules(node.policy.rules);
  const statement = state.baseline.finish(capture, {
    node: settings.node,
    cluster: settings.cluster,
    policy: { name: node.policy.name, text: rules },
    at: now,
    reason,
    programs,
    ...(mounts && { mounts }),
    also: (signed) => {
      state.current.loadFromBaseline();
      rememberWatched(state, node);
      recordBaseline(state, { statement: signed, what: replace ? "replaced" : "captured" });
    },
  });
  rememberMounts(state, node.root);
  return { statement, idle, unseen: [...unseen, ...moving] };
}

/** A path that cannot be observed is not approved. */
function isOfSomething([, row]: readonly [path: string, row: string]): boolean {
  return !row.includes('"unreadable"') || !isUnseen(parseRow(row));
}

const nothingKnown = { get: () => undefined, below: () => [], findByInode: () => [] };
