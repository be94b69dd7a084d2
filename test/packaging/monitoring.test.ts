import test from "ava";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { createCollectorMetrics } from "../../src/collector/metrics.ts";
import type { Store } from "../../src/collector/store/store.ts";
import { createMetrics } from "../../src/health/metrics.ts";
import { missingProgram } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";

const deploy = join(import.meta.dirname, "../../deploy");
const read = (path: string): string => readFileSync(join(deploy, path), "utf8");

/** The names of all metrics that an agent and a collector expose. */
async function exposed(): Promise<ReadonlySet<string>> {
  const agent = createMetrics({ clock: () => 0, outbox: () => ({ records: 0, bytes: 0 }) });
  const store: Pick<Store, "nodes" | "alarms" | "openAlerts"> = {
    nodes: async () => await Promise.resolve([]),
    alarms: async () => await Promise.resolve([]),
    openAlerts: async () =>
      await Promise.resolve({ critical: 0, high: 0, medium: 0, low: 0, info: 0 }),
  };
  const options = { store: store as Store, clock: () => 0, followers: () => 0 };
  const collector = createCollectorMetrics(options);
  const texts = [await agent.text(), await collector.text()].map(({ text }) => text);
  return new Set(
    texts.flatMap((text) => [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name = ""]) => name)),
  );
}

function namesIn(expression: string): readonly string[] {
  return [...expression.matchAll(/\b(?:fim|process|nodejs)_\w+/g)].map(([name]) =>
    name.replace(/_bucket$/, ""),
  );
}

interface Groups {
  readonly groups: readonly {
    readonly rules: readonly { readonly alert: string; readonly expr: string }[];
  }[];
}

test("alert rules and dashboard ask only for metrics that exist", async (t) => {
  const names = await exposed();
  t.true(names.size > 20);
  const { groups } = parse(read("prometheus/rules.yaml")) as Groups;
  const rules = groups.flatMap((group) => group.rules.map(({ expr }) => expr));
  const { panels } = JSON.parse(read("grafana/fim-agent.json")) as {
    readonly panels: readonly { readonly targets?: readonly { readonly expr: string }[] }[];
  };
  const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  t.true(rules.length > 10 && queries.length > 15);
  for (const expression of [...rules, ...queries])
    for (const name of namesIn(expression)) t.true(names.has(name), `${name} in ${expression}`);
});

test("the Prometheus Operator gets the same rules", (t) => {
  const { spec } = parse(read("kustomize/components/monitoring/rules.yaml")) as {
    readonly spec: Groups;
  };
  t.deepEqual(spec, parse(read("prometheus/rules.yaml")) as Groups);
});

function promtool(...args: readonly string[]): string {
  return execFileSync("promtool", args, { cwd: join(deploy, "prometheus"), encoding: "utf8" });
}

needing(missingProgram("promtool"))("each alert rule fires when it should, and not before", (t) => {
  t.regex(promtool("check", "rules", "rules.yaml"), /SUCCESS: 14 rules/);
  t.regex(promtool("test", "rules", "rules.test.yaml"), /SUCCESS/);
  const { groups } = parse(read("prometheus/rules.yaml")) as Groups;
  const { tests } = parse(read("prometheus/rules.test.yaml"), { merge: true }) as {
    readonly tests: readonly {
      readonly alert_rule_test: readonly {
        readonly alertname: string;
        readonly exp_alerts: readonly object[];
      }[];
    }[];
  };
  const fired = tests
    .flatMap((one) => one.alert_rule_test)
    .filter((one) => one.exp_alerts.length > 0)
    .map((one) => one.alertname);
  for (const { alert } of groups.flatMap(({ rules }) => rules))
    t.true(fired.includes(alert), alert);
});
