import { randomBytes } from "node:crypto";
import { readLoginUid } from "../../attribute/process.ts";
import { showPath } from "../../core/path.ts";
import type { Statement } from "../../core/record/statement.ts";
import { uuidv7 } from "../../core/uuid.ts";
import { approvalEntries } from "../../outbox/approvals.ts";
import type { State } from "../../node/state.ts";

interface BaselineEvent {
  readonly statement: Statement;
  readonly what: "captured" | "replaced" | "accepted" | "rekeyed";
  /** The accepted paths, when this is an acceptance. */
  readonly paths?: readonly string[];
}

const pathsListed = 100;

/** The user of this process, and the one who logged in (`sudo` changes only the first). */
function whoRuns(): { readonly uid?: number; readonly loginUid?: number } {
  const uid = process.getuid?.();
  const loginUid = readLoginUid("/proc", process.pid);
  return { ...(uid !== undefined && { uid }), ...(loginUid !== undefined && { loginUid }) };
}

/**
 * Records in the chain that a baseline was signed; a rollback shows against this record. What `watch` approved at other
 * paths is stated again, because only what follows the last baseline counts. Runs in a transaction.
 */
export function recordBaseline(state: State, { statement, what, paths }: BaselineEvent): void {
  const { node, cluster, counter, digest, rows, at, reason, key, policy, programs } = statement;
  const body = {
    uid: uuidv7({ at: Date.parse(at), count: 0 }, randomBytes(8)),
    event: "baseline",
    what,
    at,
    node,
    cluster,
    counter,
    digest,
    rows,
    policy,
    reason,
    by: whoRuns(),
    key,
    ...(programs && { programs }),
    ...(paths && {
      paths: paths.slice(0, pathsListed).map((path) => showPath(path).text),
      count: paths.length,
    }),
  };
  const accepted = new Set(paths);
  const isNew = what === "captured" || what === "replaced";
  const kept = isNew ? [] : state.approvals.all().filter(({ path }) => !accepted.has(path));
  state.outbox.append(
    [{ kind: "baseline", severity: "info", body: () => body }, ...approvalEntries(kept)],
    at,
  );
}
