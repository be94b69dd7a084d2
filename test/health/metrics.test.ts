import test from "ava";
import { spawnSync } from "node:child_process";
import { createMetrics } from "../../src/health/metrics.ts";
import { missingProgram } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";

test("every metric that is promised is there under its name and labels", async (t) => {
  let now = 1_000_000;
  const outbox = { records: 3, bytes: 4096 };
  const metrics = createMetrics({ clock: () => now, outbox: () => outbox });
  metrics.engine("fanotify");
  metrics.hint("fanotify");
  metrics.hint("sweep");
  metrics.change({ kind: "modified", severity: "critical", verdict: "unexpected" });
  metrics.alertLatency(0.0004);
  metrics.deliveryLatency("webhook:soc", 0.02);
  metrics.delivery("webhook:soc", "delivered");
  metrics.overflow("fanotify");
  metrics.attribution("named");
  metrics.baselineGeneration(7);
  metrics.watchedPaths(1234);
  metrics.sweep("quick", 0.012);
  now += 2500;
  const { type, text } = await metrics.text();
  t.regex(type, /^text\/plain; version=0\.0\.4/);
  const lines = new Set(text.split("\n"));
  for (const line of [
    'fim_hints_total{engine="fanotify"} 1',
    'fim_hints_total{engine="sweep"} 1',
    'fim_changes_total{change="modified",severity="critical",verdict="unexpected"} 1',
    'fim_alert_latency_seconds_bucket{le="0.001"} 1',
    'fim_alert_latency_seconds_bucket{le="10"} 1',
    'fim_delivery_latency_seconds_bucket{le="0.01",sink="webhook:soc"} 0',
    'fim_delivery_latency_seconds_bucket{le="0.025",sink="webhook:soc"} 1',
    'fim_deliveries_total{sink="webhook:soc",outcome="delivered"} 1',
    "fim_outbox_records 3",
    "fim_outbox_bytes 4096",
    'fim_engine_info{engine="fanotify"} 1',
    'fim_engine_overflows_total{engine="fanotify"} 1',
    'fim_attribution_total{result="named"} 1',
    "fim_baseline_generation 7",
    "fim_watched_paths 1234",
    'fim_sweep_duration_seconds{sweep="quick"} 0.012',
    'fim_sweep_age_seconds{sweep="quick"} 2.5',
  ]) {
    t.true(lines.has(line), line);
  }
  t.regex(text, /^process_resident_memory_bytes \d+/m);
});

test("only the engine in use is named, its counters begin at 0, and a sweep has no age before it ran", async (t) => {
  const metrics = createMetrics({ clock: () => 0, outbox: () => ({ records: 0, bytes: 0 }) });
  metrics.engine("fanotify");
  metrics.engine("chokidar");
  const { text } = await metrics.text();
  t.false(text.includes('fim_engine_info{engine="fanotify"}'));
  t.true(text.includes('fim_engine_info{engine="chokidar"} 1'));
  t.true(text.includes('fim_engine_overflows_total{engine="chokidar"} 0'));
  t.notRegex(text, /^fim_sweep_age_seconds\{/m);
});

test("two sets of metrics do not mix", async (t) => {
  const sources = { clock: () => 0, outbox: () => ({ records: 0, bytes: 0 }) };
  const one = createMetrics(sources);
  const other = createMetrics(sources);
  one.baselineGeneration(1);
  other.baselineGeneration(2);
  t.regex((await one.text()).text, /^fim_baseline_generation 1$/m);
  t.regex((await other.text()).text, /^fim_baseline_generation 2$/m);
});

test("every combination of change, severity and verdict exists from the start, and each sink", async (t) => {
  const metrics = createMetrics({ clock: () => 0, outbox: () => ({ records: 0, bytes: 0 }) });
  metrics.sink("webhook:soc");
  const { text } = await metrics.text();
  t.is(text.match(/^fim_changes_total\{/gm)?.length, 8 * 5 * 2);
  t.regex(text, /^fim_sink_up\{sink="webhook:soc"\} 1$/m);
  metrics.delivery("webhook:soc", "retry");
  t.regex((await metrics.text()).text, /^fim_sink_up\{sink="webhook:soc"\} 0$/m);
});

test("no metric shows the interval of a timer as a delay of the event loop", async (t) => {
  const metrics = createMetrics({ clock: () => 0, outbox: () => ({ records: 0, bytes: 0 }) });
  const { text } = await metrics.text();
  t.regex(text, /^nodejs_eventloop_lag_seconds /m);
  t.notRegex(text, /nodejs_eventloop_lag_(?:min|max|mean|stddev|p\d+)_seconds/);
});

needing(missingProgram("promtool"))(
  "promtool finds nothing to say against the metrics",
  async (t) => {
    const metrics = createMetrics({ clock: Date.now, outbox: () => ({ records: 3, bytes: 9 }) });
    metrics.engine("fanotify");
    metrics.attributionMode("bpf");
    metrics.sink("webhook:soc");
    metrics.delivery("webhook:soc", "delivered");
    metrics.deliveryLatency("webhook:soc", 0.02);
    metrics.alertLatency(0.001);
    metrics.sweep("quick", 0.01);
    metrics.sweepRounds({ high: 10, low: 30 });
    metrics.drift({ info: 0, low: 0, medium: 0, high: 1, critical: 2 });
    const { text } = await metrics.text();
    t.true(text.includes('fim_drift_paths{severity="critical"} 2'));
    const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], {
      input: text,
      encoding: "utf8",
    });
    t.is(`${stdout}${stderr}`, "");
    t.is(status, 0);
  },
);
