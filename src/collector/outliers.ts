import { outlierSeverity, outliersOf } from "../core/record/outlier.ts";
import type { Facts, Outlier } from "../core/record/outlier.ts";
import { lastHeartbeat } from "./node-state.ts";
import type { Collector } from "./ingest/receive.ts";
import type { StoredNode } from "./store/store.ts";

const prefix = "outlier ";

/** Compares the nodes of each cluster, and raises an alarm for each that differs for longer than a roll-out's step. */
export class Outliers {
  readonly #collector: Collector;
  /** Since when, by node and fact, milliseconds of the clock. */
  #differing = new Map<string, number>();

  constructor(collector: Collector) {
    this.#collector = collector;
  }

  /** True: an alarm was raised. */
  async look(nodes: readonly StoredNode[], now: number): Promise<boolean> {
    const found = findOutliers(nodes);
    const before = this.#differing;
    this.#differing = new Map(found.map((one) => [keyOf(one), before.get(keyOf(one)) ?? now]));
    const lasting = found.filter(
      (one) => now - (this.#differing.get(keyOf(one)) ?? now) >= patience(one.node),
    );
    const ended = await this.#ended(new Set(found.map(keyOf)));
    if (lasting.length === 0 && ended.length === 0) return false;
    return await this.#collector.store.transact(async (tx) => {
      let isNew = false;
      for (const { node, what } of ended) await tx.endAlarm(node, what);
      for (const one of lasting) {
        const { id, cluster, node } = one.node;
        if (!(await tx.beginAlarm(id, prefix + one.fact, now))) continue;
        const severity = outlierSeverity(one.fact);
        const { fact, value, expected } = one;
        const detail = { fact, value, ...(expected !== undefined && { expected }) };
        const alarm = {
          kind: "outlier",
          severity,
          cluster,
          node,
          reason: reasonOf(one),
          detail,
        } as const;
        await this.#collector.own.raise(tx, alarm, id);
        isNew = true;
      }
      return isNew;
    });
  }

  async #ended(present: ReadonlySet<string>) {
    const alarms = await this.#collector.store.alarms();
    return alarms.filter(
      ({ node, what }) =>
        what.startsWith(prefix) && !present.has(`${node} ${what.slice(prefix.length)}`),
    );
  }
}

interface Found extends Outlier {
  readonly node: StoredNode;
}

function findOutliers(nodes: readonly StoredNode[]): readonly Found[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const clusters = Map.groupBy(nodes, ({ cluster }) => cluster);
  return [...clusters.values()].flatMap((members) =>
    outliersOf(members.map((node) => ({ id: node.id, facts: factsOf(node) }))).flatMap((one) => {
      const node = byId.get(one.id);
      return node ? [{ ...one, node }] : [];
    }),
  );
}

function factsOf(node: StoredNode): Facts {
  const heartbeat = lastHeartbeat(node);
  return heartbeat ? { ...heartbeat.shared, policy: heartbeat.policy.digest } : {};
}

function keyOf({ id, fact }: Outlier): string {
  return `${id} ${fact}`;
}

/** Two heartbeats: a file that is changed on all nodes is not changed on all at once. */
function patience(node: StoredNode): number {
  return (lastHeartbeat(node)?.every ?? 0) * 2;
}

function reasonOf({ fact, expected }: Found): string {
  const what = fact === "policy" ? "its policy" : `its ${fact}`;
  return expected === undefined
    ? `${what} differs from that of every other node of the cluster`
    : `${what} differs from that of most nodes of the cluster`;
}
