import { Counter, Gauge } from "prom-client";
import type { Registry } from "prom-client";
import type { Reply } from "./ingest/receive.ts";
import { severities } from "../core/policy/rule.ts";
import type { Store } from "./store/store.ts";
import { processMetrics } from "../health/metrics.ts";
import { createSinkMetrics } from "../health/sink-metrics.ts";
import type { SinkMetrics } from "../health/sink-metrics.ts";
import { nodeStates, stateOf } from "./node-state.ts";

const outcomes = ["stored", "gap", "fork", "signature", "unknown", "malformed"] as const;

export interface CollectorMetrics {
  received(reply: Reply): void;
  readonly sinks: SinkMetrics;
  text(): Promise<{ readonly type: string; readonly text: string }>;
}

export interface MetricsOptions {
  readonly store: Store;
  readonly clock: () => number;
  readonly followers: () => number;
}

/** What GET /metrics shows. */
export function createCollectorMetrics(options: MetricsOptions): CollectorMetrics {
  const registry = processMetrics();
  const events = eventMetrics(registry);
  const update = stateMetrics(registry, options);
  return {
    received: (reply) => {
      events.requests.inc({ outcome: reply.kind === "stored" ? "stored" : reply.error.error });
      if (reply.kind === "stored") events.records.inc(reply.records);
    },
    sinks: createSinkMetrics(registry, options.clock),
    text: async () => {
      await update();
      return { type: registry.contentType, text: await registry.metrics() };
    },
  };
}

function eventMetrics(registry: Registry) {
  const registers = [registry];
  const requests = new Counter({
    name: "fim_collector_requests_total",
    help: "Requests with records, by their outcome",
    labelNames: ["outcome"] as const,
    registers,
  });
  for (const outcome of outcomes) requests.inc({ outcome }, 0);
  const records = new Counter({
    name: "fim_collector_records_total",
    help: "Records verified and stored",
    registers,
  });
  return { requests, records };
}

/** Returns a function that reads the present state. */
function stateMetrics(registry: Registry, { store, clock, followers }: MetricsOptions) {
  const registers = [registry];
  const nodes = new Gauge({
    name: "fim_collector_nodes",
    help: "Enrolled nodes, by state",
    labelNames: ["state"] as const,
    registers,
  });
  const open = new Gauge({
    name: "fim_collector_alerts_open",
    help: "Alerts that are not acknowledged, by severity",
    labelNames: ["severity"] as const,
    registers,
  });
  const streams = new Gauge({
    name: "fim_collector_streams",
    help: "Clients that follow the stream of alerts",
    registers,
  });
  return async (): Promise<void> => {
    const [all, alarms] = await Promise.all([store.nodes(), store.alarms()]);
    for (const state of nodeStates) nodes.set({ state }, 0);
    for (const node of all) nodes.inc({ state: stateOf(node, alarms, clock()).state });
    const counts = await store.openAlerts();
    for (const severity of severities) open.set({ severity }, counts[severity]);
    streams.set(followers());
  };
}
