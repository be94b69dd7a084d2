import { join } from "node:path";
import type { Database } from "better-sqlite3";
import { Baseline } from "../../baseline/baseline.ts";
import { loadKey } from "../../baseline/key.ts";
import type { Settings } from "../../config/settings.ts";
import { IntegrityError } from "../../core/error.ts";
import { lockHolder } from "../../linux/lock-holder.ts";
import { openStateDatabase } from "../../node/database.ts";
import type { Node } from "../../node/node.ts";
import { Approvals } from "../../outbox/approvals.ts";
import { Queue } from "../../outbox/queue.ts";
import { countDrift } from "../../reconcile/approved/drift.ts";
import type { DriftCount } from "../../reconcile/approved/drift.ts";
import { askAgent } from "./ask-agent.ts";
import type { Answers } from "./ask-agent.ts";

export interface Status {
  /** Nothing below needs anyone. */
  readonly ok: boolean;
  /** The process that watches with this state. */
  readonly pid?: number;
  readonly agent?: Answers;
  /** Why the running agent's listener says nothing. */
  readonly silent?: string;
  readonly baseline:
    | { readonly ok: true; readonly counter: number; readonly at: string; readonly paths: number }
    | { readonly ok: false; readonly fault: string };
  /** As last seen by watch. */
  readonly drift: DriftCount;
  readonly sinks: readonly SinkStatus[];
}

interface SinkStatus {
  readonly sink: string;
  readonly ok: boolean;
  readonly backlog: number;
  readonly disabled?: string;
  readonly lastSuccess?: string;
}

/** How the agent of a state directory fares. Writes nothing. */
export async function readStatus(node: Node, settings: Settings): Promise<Status> {
  const key = loadKey(settings.state);
  if (!key)
    throw new IntegrityError("BASELINE_MISSING", `baseline: there is none in ${settings.state}`, {
      hint: "capture one with: fim-agent baseline",
    });
  const db = openStateDatabase(join(settings.state, "fim.db"), { readonly: true });
  try {
    const pid = lockHolder(join(settings.state, "lock"));
    const answer = pid === undefined ? undefined : await askAgent(settings.listen);
    const agent = typeof answer === "string" ? undefined : answer;
    const baseline = baselineOf(new Baseline(db, { stateDir: settings.state, key }));
    const drift = countDrift({ db, approvals: new Approvals(db), index: node.index });
    const sinks = sinksOf(db, agent);
    const isClean = Object.values(drift).every((count) => count === 0);
    const ok =
      agent?.ready === true &&
      agent.troubles.length === 0 &&
      baseline.ok &&
      isClean &&
      sinks.every((sink) => sink.ok);
    return {
      ok,
      ...(pid !== undefined && { pid }),
      ...(agent && { agent }),
      ...(typeof answer === "string" && { silent: answer }),
      baseline,
      drift,
      sinks,
    };
  } finally {
    db.close();
  }
}

function baselineOf(baseline: Baseline): Status["baseline"] {
  try {
    const { counter, at, rows } = baseline.trust();
    return { ok: true, counter, at, paths: rows };
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error;
    return { ok: false, fault: error.message };
  }
}

const present = "SELECT name FROM sink WHERE state <> 'absent' ORDER BY name";

function sinksOf(db: Database, agent: Answers | undefined): readonly SinkStatus[] {
  const queue = new Queue(db);
  return db
    .prepare<[], string>(present)
    .pluck()
    .all()
    .map((sink) => {
      const state = queue.state(sink);
      const isDisabled = state?.disabled === true;
      const success = agent?.lastSuccess.get(sink);
      return {
        sink,
        ok: !isDisabled && (state?.attempts ?? 0) === 0,
        backlog: queue.pending(sink).records,
        ...(isDisabled && { disabled: state.reason ?? "disabled" }),
        ...(success !== undefined && { lastSuccess: success }),
      };
    });
}
