import { randomBytes } from "node:crypto";
import { toEvent } from "../core/record/alert.ts";
import type { EventContext } from "../core/record/alert.ts";
import type { OcsfEvent } from "../core/record/ocsf.ts";
import type { ApprovedState } from "../core/record/approval.ts";
import type { FoldedChange, JudgedChange } from "../core/change/change.ts";
import type { Look } from "../core/change/compare.ts";
import { mayFold, spend } from "../core/change/fold.ts";
import type { Bucket } from "../core/change/fold.ts";
import { showPath } from "../core/path.ts";
import type { Severity } from "../core/policy/rule.ts";
import { nextUuidClock, uuidv7 } from "../core/uuid.ts";
import type { UuidClock } from "../core/uuid.ts";
import type { Fold } from "../outbox/folds.ts";
import { approvalEntries } from "../outbox/approvals.ts";
import type { Entry } from "../outbox/outbox.ts";
import { Incidents } from "./incidents.ts";
import { isStale } from "./look.ts";
import { transact } from "../sqlite/open.ts";
import type { State } from "../node/state.ts";

export interface CommitterOptions {
  readonly state: State;
  /** The fields that all events of this node share. */
  readonly context: Omit<EventContext, "uid" | "sequence" | "now">;
  /** Bytes that may wait for delivery. Beyond that, changes below high are counted, not queued. */
  readonly maxBytes: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** An alert, and its event as the chain holds it. */
export interface Reported<Judged extends JudgedChange = JudgedChange | FoldedChange> {
  readonly judged: Judged;
  readonly event: OcsfEvent;
}

/** Events of the agent itself. */
type AgentEvent =
  | "started"
  | "stopped"
  | "degraded"
  | "recovered"
  | "baseline"
  | "pruned"
  | "policy";

const examplesKept = 10;
/** The fold's name under which changes beyond the budget are counted. */
const droppedRule = "";

/** Stores observations and queues their alerts in one transaction: seen means queued. */
export class Committer {
  readonly #options: CommitterOptions;
  readonly #buckets = new Map<string, Bucket>();
  readonly #incidents = new Incidents(() => this.#uid());
  #uuids: UuidClock | undefined;

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  /**
   * Stores the looks, the changes as alerts, and what of them is approved beside the baseline. Returns the changes that
   * got an alert of their own.
   */
  commit(
    looks: readonly Look[],
    changes: readonly JudgedChange[],
    approvals: readonly ApprovedState[] = [],
  ): readonly Reported<JudgedChange>[] {
    const stale = looks.filter(isStale);
    if (stale.length === 0 && changes.length === 0) return [];
    const { state } = this.#options;
    const full = changes.length > 0 && this.#isOverBudget();
    const singles = full
      ? changes.filter(({ severity }) => !mayFold(severity))
      : this.#singles(changes);
    const single = new Set(singles);
    const alerts = this.#alerts(singles.map((one) => this.#withIncident(one)));
    transact(state.db, () => {
      for (const { path, after } of stale) {
        if (after) state.current.put(path, after);
        else state.current.delete(path);
      }
      for (const change of changes)
        if (!single.has(change)) this.#count(change, full ? droppedRule : change.rule);
      this.#append([...alerts.entries, ...approvalEntries(approvals)]);
    });
    return alerts.reported();
  }

  /** Queues an event of the agent itself. The details must hold no secret. */
  announce(event: AgentEvent, detail: Readonly<Record<string, unknown>>, severity: Severity): void {
    const { state } = this.#options;
    transact(state.db, () => this.#append([this.#agentEntry(event, detail, severity)]));
  }

  /**
   * Notes in the current transaction which records are deleted, and states again what was approved with them: the
   * newest, up to this many bytes.
   */
  notePruned(through: number, mostBytes: number): void {
    const { approvals } = this.#options.state;
    let bytes = 0;
    const kept = approvals.heldUpTo(through).filter(({ path, row = "" }) => {
      bytes += path.length + row.length;
      return bytes <= mostBytes;
    });
    this.#append([
      this.#agentEntry("pruned", { through }, "info"),
      ...approvalEntries(kept.toReversed()),
    ]);
  }

  /** Reports what was counted more than this many milliseconds ago: folds, and changes beyond the budget. */
  flush(olderThan: number): readonly Reported<FoldedChange>[] {
    const { state, now } = this.#options;
    const due = state.folds.all().filter((fold) => now() - fold.since >= olderThan);
    const dropped = due.filter((fold) => fold.rule === droppedRule);
    const folded = due.filter((fold) => fold.rule !== droppedRule);
    if (due.length === 0) return [];
    const alerts = this.#alerts(folded.map(toFolded));
    transact(state.db, () => {
      for (const fold of due) state.folds.delete(fold);
      this.#append([
        ...alerts.entries,
        ...(dropped.length > 0 ? [this.#droppedEntry(dropped)] : []),
      ]);
    });
    return alerts.reported();
  }

  #withIncident(judged: JudgedChange): JudgedChange {
    const { actor, at } = judged;
    return actor ? { ...judged, incident: this.#incidents.idOf(actor, at) } : judged;
  }

  #isOverBudget(): boolean {
    return this.#options.state.queue.backlog().bytes > this.#options.maxBytes;
  }

  #singles(changes: readonly JudgedChange[]): readonly JudgedChange[] {
    const now = this.#options.now();
    return changes.filter(({ rule, severity }) => {
      if (!mayFold(severity)) return true;
      const { bucket, single } = spend(this.#buckets.get(rule), now);
      this.#buckets.set(rule, bucket);
      return single;
    });
  }

  #count(judged: JudgedChange, rule: string): void {
    const { folds } = this.#options.state;
    const name = { rule, change: judged.change.kind, severity: judged.severity };
    const known = folds.get(name);
    const examples = known?.examples ?? [];
    folds.put({
      ...name,
      count: (known?.count ?? 0) + 1,
      since: known?.since ?? judged.at,
      at: judged.at,
      examples:
        examples.length < examplesKept
          ? [...examples, showPath(judged.change.path).text]
          : examples,
      sample: judged,
    });
  }

  #append(entries: readonly Entry[]): void {
    const at = new Date(this.#options.now()).toISOString();
    if (entries.length > 0) this.#options.state.outbox.append(entries, at);
  }

  /** The entries of alerts, and once these are stored, the alerts with their events. */
  #alerts<Judged extends JudgedChange>(
    judged: readonly Judged[],
  ): { readonly entries: readonly Entry[]; readonly reported: () => readonly Reported<Judged>[] } {
    if (judged.length === 0) return { entries: [], reported: () => [] };
    const { now } = this.#options;
    // Read once for all alerts of a transaction: the context asks for the key's id.
    const context = { ...this.#options.context };
    const stored: Reported<Judged>[] = [];
    const entries = judged.map((one) => ({
      kind: "alert" as const,
      severity: one.severity,
      body: (sequence: number) => {
        const event = toEvent(one, { ...context, uid: this.#uid(), sequence, now: now() });
        stored.push({ judged: one, event });
        return event;
      },
    }));
    return { entries, reported: () => stored };
  }

  #agentEntry(event: string, detail: Readonly<Record<string, unknown>>, severity: Severity): Entry {
    const { node, cluster, version } = this.#options.context;
    const at = new Date(this.#options.now()).toISOString();
    const body = { uid: this.#uid(), event, at, node, cluster, version, severity, ...detail };
    return { kind: "agent", severity, body: () => body };
  }

  #droppedEntry(folds: readonly Fold[]): Entry {
    const { kind: _, ...entry } = this.#agentEntry(
      "dropped",
      {
        count: folds.reduce((sum, fold) => sum + fold.count, 0),
        of: folds.map(({ change, severity, count, examples }) => ({
          change,
          severity,
          count,
          examples,
        })),
        since: new Date(Math.min(...folds.map((fold) => fold.since))).toISOString(),
        reason: "outbox.maxBytes was reached",
      },
      "high",
    );
    return { kind: "dropped", ...entry };
  }

  #uid(): string {
    this.#uuids = nextUuidClock(this.#uuids, this.#options.now());
    return uuidv7(this.#uuids, randomBytes(8));
  }
}

function toFolded({ sample, count, examples, since, at }: Fold): FoldedChange {
  return { ...(sample as JudgedChange), count, examples, since, at };
}
