import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { joinBy, startCollectorProcess } from "../helpers/collector-process.ts";
import { freePort, get } from "../helpers/http.ts";
import { missingProgram } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";
import { makeNode } from "../helpers/node.ts";
import { makePlace } from "../helpers/tree.ts";
import { until } from "../helpers/wait.ts";

const patience = 90_000;
const dashboard = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../deploy/grafana/fim-agent.json"), "utf8"),
) as {
  readonly panels: readonly {
    readonly title: string;
    readonly targets?: readonly { readonly expr: string }[];
  }[];
};

interface Prometheus extends AsyncDisposable {
  /** The values that an instant query has now; of a histogram without observations, none. */
  query(expression: string): Promise<readonly number[]>;
}

/** Debian's Prometheus on 127.0.0.1, which scrapes these each second. */
async function startPrometheus(
  dir: string,
  targets: Readonly<Record<string, string>>,
): Promise<Prometheus> {
  const listen = `127.0.0.1:${await freePort()}`;
  const config = join(dir, "prometheus.yml");
  const jobs = Object.entries(targets).map(([name, target]) => ({
    job_name: name,
    static_configs: [{ targets: [target] }],
  }));
  const settings = { global: { scrape_interval: "1s" }, scrape_configs: jobs };
  writeFileSync(config, stringify(settings));
  const options = {
    "config.file": config,
    "storage.tsdb.path": join(dir, "data"),
    "web.listen-address": listen,
  };
  const args = Object.entries(options).map(([key, value]) => `--${key}=${value}`);
  const child = spawn("prometheus", args, { stdio: "ignore" });
  const ended = once(child, "exit");
  const isReady = async (): Promise<boolean> =>
    (await get(`http://${listen}/-/ready`).catch(() => undefined))?.status === 200;
  await until(isReady, patience);
  return {
    query: async (expression) => {
      const path = `/api/v1/query?query=${encodeURIComponent(expression)}`;
      const { data } = JSON.parse((await get(`http://${listen}${path}`)).body) as {
        readonly data: {
          readonly result: readonly { readonly value: readonly [number, string] }[];
        };
      };
      return data.result.map(({ value }) => Number(value[1])).filter((one) => !Number.isNaN(one));
    },
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

needing(missingProgram("prometheus"))(
  "each query of the dashboard has data in a Prometheus that scrapes an agent and a collector",
  async (t) => {
    t.timeout(180_000);
    using place = makePlace();
    using node = makeNode({ rules: { "/srv/**": "high" } });
    node.write("/srv/known", "");
    await node.capture();
    await using collector = await startCollectorProcess(node.beside("collector"));
    const config = {
      collector: await joinBy(collector, node.beside("join-token")),
      watch: { heartbeatEvery: "1s" },
    };
    await using watching = await node.watch({ config });
    await using prometheus = await startPrometheus(place.dir, {
      agent: watching.listen,
      collector: collector.url.replace("http://", ""),
    });
    const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => ({ title, expr })),
    );
    t.true(queries.length > 15);
    const empty = new Set(queries);
    let changes = 0;
    await until(async () => {
      // A latency has data while something is alerted and delivered.
      node.write("/srv/changed", String(++changes));
      for (const one of empty) {
        const expression = one.expr
          .replaceAll("$__rate_interval", "30s")
          .replaceAll("$instance", ".+");
        if ((await prometheus.query(expression)).length > 0) empty.delete(one);
      }
      return empty.size === 0;
    }, patience).catch(() => undefined);
    t.deepEqual([...empty], []);
    t.deepEqual(await prometheus.query("sum(up)"), [2]);
    t.true(Number((await prometheus.query("sum(fim_drift_paths)"))[0]) > 0);
  },
);
