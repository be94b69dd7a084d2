import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";
import type { ChangeKind, Verdict } from "../core/change/change.ts";
import type { EngineName } from "../core/change/hint.ts";
import { severities } from "../core/policy/rule.ts";
import type { Severity } from "../core/policy/rule.ts";
import { createSinkMetrics, latencyBuckets } from "./sink-metrics.ts";
import type { SinkMetrics } from "./sink-metrics.ts";

type Sweep = "quick" | "full";

/** Values read at the moment of the scrape. */
interface MetricSources {
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly outbox: () => { readonly records: number; readonly bytes: number };
}

/** The agent's metrics. Every duration is in seconds, as Prometheus has it. */
export interface Metrics extends SinkMetrics {
  hint(engine: EngineName): void;
  change(change: { kind: ChangeKind; severity: Severity; verdict: Verdict }): void;
  /** From the kernel's event to the commit. */
  alertLatency(seconds: number): void;
  /** Sets the engine in use. */
  engine(engine: EngineName): void;
  overflow(engine: EngineName): void;
  /** Sets the attribution mode in use. */
  attributionMode(mode: string): void;
  attribution(result: string): void;
  baselineGeneration(counter: number): void;
  watchedPaths(count: number): void;
  /** Counts a sweep that ended just now. */
  sweep(sweep: Sweep, seconds: number): void;
  /** Seconds in which quick sweeps look at every path, of rules from high on and of the others. */
  sweepRounds(rounds: { readonly high: number; readonly low: number }): void;
  /** Paths that differ from the baseline and were not approved. */
  drift(paths: Readonly<Record<Severity, number>>): void;
  /** The last values of some. */
  latest(): Latest;
  text(): Promise<{ readonly type: string; readonly text: string }>;
}

interface Latest {
  engine: string;
  attribution: string;
  watched: number;
  drift: Readonly<Record<Severity, number>>;
}

/**
 * From a histogram of timer intervals, which at rest show the interval instead of a delay. `nodejs_eventloop_lag_seconds`
 * is measured at the scrape and stays.
 */
const misleading = ["min", "max", "mean", "stddev", "p50", "p90", "p99"].map(
  (name) => `nodejs_eventloop_lag_${name}_seconds`,
);

/** Gauges that are named like counters. */
const misnamed = ["handles", "requests", "resources"].map((name) => `nodejs_active_${name}_total`);

const nothingYet: Readonly<Latest> = {
  engine: "none",
  attribution: "none",
  watched: 0,
  drift: { info: 0, low: 0, medium: 0, high: 0, critical: 0 },
};

export function createMetrics(sources: MetricSources): Metrics {
  const registry = processMetrics();
  readAtScrape(registry, sources);
  const events = eventMetrics(registry);
  const state = stateMetrics(registry, sources.clock);
  beginAtZero(events);
  const latest: Latest = { ...nothingYet };
  return {
    hint: (engine) => events.hints.inc({ engine }),
    change: ({ kind, severity, verdict }) =>
      events.changes.inc({ change: kind, severity, verdict }),
    alertLatency: (seconds) => events.alertLatency.observe(Math.max(0, seconds)),
    ...createSinkMetrics(registry, sources.clock),
    engine: (engine) => {
      latest.engine = engine;
      state.engine.reset();
      state.engine.set({ engine }, 1);
      // A counter that begins at 0 lets a first increase be seen (prometheus.io, instrumentation).
      events.hints.inc({ engine }, 0);
      events.overflows.inc({ engine }, 0);
    },
    attributionMode: (mode) => {
      latest.attribution = mode;
      state.attributionMode.reset();
      state.attributionMode.set({ mode }, 1);
    },
    overflow: (engine) => events.overflows.inc({ engine }),
    attribution: (result) => events.attribution.inc({ result }),
    baselineGeneration: (counter) => state.baselineGeneration.set(counter),
    watchedPaths: (count) => {
      latest.watched = count;
      state.watchedPaths.set(count);
    },
    sweep: (sweep, seconds) => {
      state.sweepDuration.set({ sweep }, seconds);
      state.sweepEnds.set(sweep, sources.clock());
    },
    sweepRounds: (rounds) => {
      state.sweepRound.set({ severity: "high" }, rounds.high);
      state.sweepRound.set({ severity: "low" }, rounds.low);
    },
    drift: (paths) => {
      latest.drift = paths;
      for (const severity of severities) state.drift.set({ severity }, paths[severity]);
    },
    latest: () => latest,
    text: async () => ({ type: registry.contentType, text: await registry.metrics() }),
  };
}

const changeKinds: readonly ChangeKind[] = [
  "created",
  "deleted",
  "renamed",
  "modified",
  "transient",
  "mounted",
  "unmounted",
  "unreadable",
];
const verdicts: readonly Verdict[] = ["unexpected", "approved"];

function readAtScrape(registry: Registry, sources: MetricSources): void {
  const records: Gauge = new Gauge({
    name: "fim_outbox_records",
    help: "Records that at least one sink has still to deliver",
    registers: [],
    collect: () => records.set(sources.outbox().records),
  });
  const bytes: Gauge = new Gauge({
    name: "fim_outbox_bytes",
    help: "Bytes of the records that at least one sink has still to deliver",
    registers: [],
    collect: () => bytes.set(sources.outbox().bytes),
  });
  registry.registerMetric(records);
  registry.registerMetric(bytes);
}

export function processMetrics(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 1000 });
  for (const name of [...misleading, ...misnamed]) registry.removeSingleMetric(name);
  return registry;
}

function beginAtZero({ changes, attribution }: ReturnType<typeof eventMetrics>): void {
  for (const change of changeKinds)
    for (const severity of severities)
      for (const verdict of verdicts) changes.inc({ change, severity, verdict }, 0);
  for (const result of ["full", "candidates", "pid", "none"]) attribution.inc({ result }, 0);
}

function eventMetrics(registry: Registry) {
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[]) =>
    new Counter({ name, help, labelNames, registers });
  return {
    hints: counter("fim_hints_total", "Hints that engines gave", ["engine"]),
    changes: counter("fim_changes_total", "Changes that were found", [
      "change",
      "severity",
      "verdict",
    ]),
    overflows: counter("fim_engine_overflows_total", "Times an engine lost events", ["engine"]),
    attribution: counter("fim_attribution_total", "Changes by how well their process is known", [
      "result",
    ]),
    alertLatency: new Histogram({
      name: "fim_alert_latency_seconds",
      help: "From the kernel's event to the commit of the alert",
      buckets: latencyBuckets,
      registers,
    }),
  };
}

function stateMetrics(registry: Registry, clock: () => number) {
  const registers = [registry];
  const sweepEnds = new Map<Sweep, number>();
  const age = new Gauge({
    name: "fim_sweep_age_seconds",
    help: "Since the last sweep ended",
    labelNames: ["sweep"],
    registers: [],
    collect: () => {
      for (const [sweep, end] of sweepEnds) age.set({ sweep }, (clock() - end) / 1000);
    },
  });
  registry.registerMetric(age);
  const gauge = <Label extends string>(name: string, help: string, labelNames: Label[]) =>
    new Gauge({ name, help, labelNames, registers });
  return {
    sweepEnds,
    sweepDuration: gauge("fim_sweep_duration_seconds", "How long the last sweep took", ["sweep"]),
    sweepRound: gauge(
      "fim_sweep_round_seconds",
      "In which quick sweeps look at every path of rules from high on, and of the others",
      ["severity"],
    ),
    drift: gauge("fim_drift_paths", "Paths that differ from what was approved", ["severity"]),
    engine: gauge("fim_engine_info", "1 for the engine in use", ["engine"]),
    attributionMode: gauge("fim_attribution_info", "1 for how processes are named", ["mode"]),
    baselineGeneration: gauge("fim_baseline_generation", "The signed counter of the baseline", []),
    watchedPaths: gauge("fim_watched_paths", "Paths that are watched now", []),
  };
}
