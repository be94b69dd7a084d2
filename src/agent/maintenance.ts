import { isBusy, messageOf } from "../core/error.ts";
import { statSync } from "node:fs";
import type { Database } from "better-sqlite3";
import type { Reported } from "../reconcile/commit.ts";
import { stateMigrations } from "../node/database.ts";
import { schemaFaults, schemaText } from "../sqlite/schema.ts";
import type { Drift } from "../reconcile/approved/drift.ts";
import type { AgentContext } from "../reconcile/context.ts";

/** Milliseconds for which like changes are counted before the agent reports them. */
const foldWindow = 10_000;

interface Upkeep {
  readonly drift: Drift;
  readonly onAlert: (alert: Reported) => void;
}

/** The work that repeats with each quick sweep. What cannot be stored now is tried again the next time. */
export function maintenance(context: AgentContext, { drift, onAlert }: Upkeep): () => void {
  const { state, settings, committer, metrics, health } = context;
  const opened = identityOf(state.db.name);
  const lookAtOwnFile = (): void => {
    const fault = faultOf(state.db, opened);
    if (fault === undefined) health.over("state directory");
    else health.trouble("state directory", `${state.db.name} ${fault}`);
  };
  let schema = 0;
  const lookAtSchema = (): void => {
    // SQLite counts every change of the schema (PRAGMA schema_version).
    const version = state.db.pragma("schema_version", { simple: true }) as number;
    if (version === schema) return;
    schema = version;
    const faults = schemaFaults(state.db, stateMigrations);
    if (faults.length === 0) return health.over("schema");
    const text = schemaText(faults);
    for (const { kind, type, name } of faults)
      if (kind === "unexpected" && (type === "trigger" || type === "view"))
        state.db.exec(`DROP ${type} "${name.replaceAll('"', '""')}"`);
    health.trouble("schema", `${state.db.name} was altered: ${text}`);
  };
  return () => {
    try {
      lookAtOwnFile();
      state.queue.prune({
        keepBytes: settings.outbox.maxBytes,
        note: (through) => committer.notePruned(through, settings.outbox.maxBytes / 4),
      });
      lookAtSchema();
      for (const alert of committer.flush(foldWindow)) onAlert(alert);
      metrics.drift(drift.count());
      metrics.baselineGeneration(state.baseline.counter());
      health.retell();
      // This may fit on the disk where a change does not: only the commit of a change ends that trouble.
      health.over("house-keeping");
    } catch (error) {
      if (isBusy(error)) health.locked(error.message);
      else health.trouble("house-keeping", messageOf(error), error);
    }
  };
}

/** What happened to the database file since it was opened. Undefined: nothing that its size and name show. */
function faultOf(db: Database, opened: string | undefined): string | undefined {
  if (identityOf(db.name) !== opened)
    return "is gone or was replaced: what is stored from now on ends with this process";
  const size = sizeOf(db.name);
  if (size > 0 && size + sizeOf(`${db.name}-wal`) >= sizeInPages(db)) return undefined;
  return `was cut to ${size} bytes: what was stored is lost, and verify will say of what`;
}

/** Bytes of all pages. Each page is in the file or still in the write-ahead log. */
function sizeInPages(db: Database): number {
  const pages = db.pragma("page_count", { simple: true }) as number;
  return pages * (db.pragma("page_size", { simple: true }) as number);
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/** The file at a path. Undefined: none. */
function identityOf(file: string): string | undefined {
  try {
    const { dev, ino } = statSync(file, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}
