import type { FastifyInstance } from "fastify";
import { severities } from "../../core/policy/rule.ts";
import type { Severity } from "../../core/policy/rule.ts";
import type { Collector } from "../ingest/receive.ts";
import { nodeStates, stateOf } from "../node-state.ts";
import type { HourCount } from "../store/store.ts";
import { requireSession } from "./auth.ts";
import type { ServerOptions } from "./server.ts";

const hour = 3_600_000;
/** The hour that is not over yet is the last. */
const hours = 24;

/** Milliseconds for which an answer serves all who ask; longer if it took long, so that other questions have their turn. */
const validity = { least: 1000, most: 5000 };
/** Of the time that an answer took. */
const validTimes = 20;

/** "drifting": well, but its files differ from its baseline. */
const summaryStates = [...nodeStates, "drifting"] as const;
type SummaryState = (typeof summaryStates)[number];

type Counts = Readonly<Record<Severity, number>>;

/** What one line says of everything. */
interface Summary {
  /** RFC 3339: when it was true. */
  readonly at: string;
  /** Alerts that no one has acknowledged. */
  readonly open: Counts;
  readonly nodes: Readonly<Record<SummaryState, number>>;
  /** Alerts that happened in each of the last 24 hours, oldest first. */
  readonly hours: readonly (Counts & { readonly at: string })[];
}

/** GET /v1/summary. */
export function summaryRoutes(server: FastifyInstance, { collector }: ServerOptions): void {
  const read = shared(() => summaryOf(collector), collector.clock);
  server.get("/v1/summary", { preHandler: requireSession(collector) }, async () => await read());
}

async function summaryOf({ store, clock }: Collector): Promise<Summary> {
  const now = clock();
  const first = now - (now % hour) - (hours - 1) * hour;
  const [open, counts] = await Promise.all([store.openAlerts(), store.alertsByHour(first)]);
  const [nodes, alarms] = await Promise.all([store.nodes(), store.alarms()]);
  const states = nodes.map((node) => summaryState(stateOf(node, alarms, now)));
  return {
    at: new Date(now).toISOString(),
    open,
    nodes: countBy(summaryStates, (state) => states.filter((one) => one === state).length),
    hours: Array.from({ length: hours }, (_, index) => hourOf(first + index * hour, counts)),
  };
}

function summaryState({ state, drift }: ReturnType<typeof stateOf>): SummaryState {
  const isDrifting = severities.some((one) => (drift?.[one] ?? 0) > 0);
  return state === "well" && isDrifting ? "drifting" : state;
}

function hourOf(begin: number, counts: readonly HourCount[]): Counts & { readonly at: string } {
  const own = counts.filter((one) => one.hour === begin);
  const of = (severity: Severity) => own.find((one) => one.severity === severity)?.count ?? 0;
  return { at: new Date(begin).toISOString(), ...countBy(severities, of) };
}

function countBy<Name extends string>(
  names: readonly Name[],
  count: (name: Name) => number,
): Readonly<Record<Name, number>> {
  return Object.fromEntries(names.map((name) => [name, count(name)])) as Record<Name, number>;
}

/** Reads once for all who ask within a second or so, however many pages are open. */
function shared<Value>(read: () => Promise<Value>, clock: () => number): () => Promise<Value> {
  let last: { readonly at: number; readonly value: Promise<Value> } | undefined;
  let validFor = validity.least;
  const follow = async (value: Promise<Value>): Promise<void> => {
    const begin = performance.now();
    try {
      await value;
      const wanted = (performance.now() - begin) * validTimes;
      validFor = Math.min(validity.most, Math.max(validity.least, wanted));
    } catch {
      last = undefined;
    }
  };
  return () => {
    const now = clock();
    if (last && Math.abs(now - last.at) < validFor) return last.value;
    const value = read();
    last = { at: now, value };
    void follow(value);
    return value;
  };
}
