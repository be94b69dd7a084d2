import { Counter, Gauge, Histogram } from "prom-client";
import type { Registry } from "prom-client";
import type { Outcome } from "../core/backoff.ts";

/** What an agent and a collector show of their sinks. */
export interface SinkMetrics {
  /** Makes the series of a sink exist from the start. */
  sink(sink: string): void;
  delivery(sink: string, outcome: Outcome["kind"]): void;
  /** Counts records that a receiver refused for good. */
  givenUp(sink: string, count: number): void;
  /** From the record's commit to the receiver's 2xx. */
  deliveryLatency(sink: string, seconds: number): void;
}

export const latencyBuckets = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

const outcomes: readonly Outcome["kind"][] = [
  "delivered",
  "partial",
  "refused",
  "retry",
  "rejected",
  "disabled",
];

/** The clock is in milliseconds since 1970. */
export function createSinkMetrics(registry: Registry, clock: () => number): SinkMetrics {
  const registers = [registry];
  const labelNames = ["sink"] as const;
  const deliveries = new Counter({
    name: "fim_deliveries_total",
    help: "Attempts to deliver, by outcome",
    labelNames: ["sink", "outcome"] as const,
    registers,
  });
  const refused = new Counter({
    name: "fim_delivery_refused_records_total",
    help: "Records that a receiver never took",
    labelNames,
    registers,
  });
  const latency = new Histogram({
    name: "fim_delivery_latency_seconds",
    help: "From the commit of a record to the receiver's confirmation",
    labelNames,
    buckets: latencyBuckets,
    registers,
  });
  const up = new Gauge({
    name: "fim_sink_up",
    help: "1 if the last attempt to deliver succeeded",
    labelNames,
    registers,
  });
  const success = new Gauge({
    name: "fim_sink_last_success_timestamp_seconds",
    help: "When a delivery last succeeded",
    labelNames,
    registers,
  });
  return {
    sink: (sink) => {
      up.set({ sink }, 1);
      for (const outcome of outcomes) deliveries.inc({ sink, outcome }, 0);
      refused.inc({ sink }, 0);
    },
    delivery: (sink, outcome) => {
      deliveries.inc({ sink, outcome });
      up.set({ sink }, outcome === "delivered" ? 1 : 0);
      if (outcome === "delivered") success.set({ sink }, clock() / 1000);
    },
    givenUp: (sink, count) => refused.inc({ sink }, count),
    deliveryLatency: (sink, seconds) => latency.observe({ sink }, Math.max(0, seconds)),
  };
}
