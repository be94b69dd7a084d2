import { outlierPatience, outlierSeverity, outliersOf } from "../core/record/outlier.ts";
import type { Outlier } from "../core/record/outlier.ts";
import type { Member } from "./fleet.ts";
import type { Collector } from "./ingest/receive.ts";

const prefix = "outlier ";

/** Compares the nodes of each cluster, and raises an alarm for each that differs for longer than a roll-out's step. */
export class Outliers {
  readonly #collector: Collector;
  /** Since when, by node and fact, milliseconds of the clock. */
  #differing = new Map<string, number>();
  /** The comparison of each cluster, with the members that it was made from. */
  #clusters: ReadonlyMap<string, Compared> = new Map();

  constructor(collector: Collector) {
    this.#collector = collector;
  }

  /** True: an alarm was raised. */
  async look(members: readonly Member[], now: number): Promise<boolean> {
    const found = this.#compare(members);
    const before = this.#differing;
    this.#differing = new Map(found.map((one) => [keyOf(one), before.get(keyOf(one)) ?? now]));
    const lasting = found.filter(
      (one) => now - (this.#differing.get(keyOf(one)) ?? now) >= patience(one),
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

  /** Compares a cluster again only when one of its nodes was heard. */
  #compare(members: readonly Member[]): readonly Found[] {
    const before = this.#clusters;
    const clusters = Map.groupBy(members, ({ cluster }) => cluster);
    this.#clusters = new Map(
      [...clusters].map(([cluster, own]) => {
        const known = before.get(cluster);
        return [cluster, known && areSame(known.members, own) ? known : compared(own)];
      }),
    );
    return [...this.#clusters.values()].flatMap(({ found }) => found);
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
  readonly node: Member;
}

interface Compared {
  readonly members: readonly Member[];
  readonly found: readonly Found[];
}

function areSame(some: readonly Member[], others: readonly Member[]): boolean {
  return some.length === others.length && some.every((one, at) => one === others[at]);
}

function compared(members: readonly Member[]): Compared {
  const byId = new Map(members.map((node) => [node.id, node]));
  const found = outliersOf(members).flatMap((one) => {
    const node = byId.get(one.id);
    return node ? [{ ...one, node }] : [];
  });
  return { members, found };
}

function keyOf({ id, fact }: Outlier): string {
  return `${id} ${fact}`;
}

/** Two heartbeats at least: a file that is changed on all nodes is not changed on all at once. */
function patience({ fact, node }: Found): number {
  return Math.max(node.every * 2, outlierPatience(fact));
}

function reasonOf({ fact, expected }: Found): string {
  const what = fact === "policy" ? "its policy" : `its ${fact}`;
  return expected === undefined
    ? `${what} differs from that of every other node of the cluster`
    : `${what} differs from that of most nodes of the cluster`;
}
