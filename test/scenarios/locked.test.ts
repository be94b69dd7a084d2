import Database from "better-sqlite3";
import { appendFileSync, chmodSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { get } from "../helpers/http.ts";
import { until } from "../helpers/wait.ts";
import { fanotifyMissing } from "../helpers/processes.ts";
import { startNode } from "../helpers/running-node.ts";
import type { RunningNode } from "../helpers/running-node.ts";
import { needing } from "../helpers/needs.ts";

const possible = needing(fanotifyMissing, "serial");

const start = async (): Promise<RunningNode> =>
  await startNode({
    isMachine: true,
    rules: (ground) => [{ id: "watched", paths: [ground.called("/watched/**")], severity: "high" }],
    prepare: (ground) => ground.write("/watched/file", "as it was\n"),
    config: { watch: { quickSweepEvery: "1s" } },
  });

/** Holds the write lock of the agent's database until disposal, as another process. */
function lock(state: string): Disposable {
  const db = new Database(join(state, "fim.db"), { timeout: 10_000 });
  db.exec("BEGIN IMMEDIATE");
  return {
    [Symbol.dispose]: () => {
      db.exec("ROLLBACK");
      db.close();
    },
  };
}

interface Answers {
  readonly slowest: number;
  readonly bodies: ReadonlySet<string>;
}

/** Asks both probes until the condition holds; any other answer than 200 within a kubelet's second throws. */
async function probe({ watching }: RunningNode, isEnough: () => boolean): Promise<Answers> {
  let slowest = 0;
  const bodies = new Set<string>();
  await until(async () => {
    for (const path of ["/healthz", "/readyz"]) {
      const began = performance.now();
      const { status, body } = await get(`http://${watching.listen}${path}`);
      if (status !== 200) throw new Error(`${path} answered ${status}: ${body}`);
      slowest = Math.max(slowest, performance.now() - began);
      bodies.add(body);
    }
    return isEnough();
  }, 60_000);
  return { slowest, bodies };
}

possible(
  `while another process holds the database's lock, nothing is lost and the probes answer`,
  async (t) => {
    await using node = await start();
    const seen = node.alerts().length;
    const locked = lock(node.state);
    const end = performance.now() + 15_000;
    try {
      appendFileSync(join(node.dir, "policy.yaml"), "# touched\n");
      appendFileSync(join(node.state, "agent.key"), "\n");
      writeFileSync(node.at("/watched/short-lived"), "");
      rmSync(node.at("/watched/short-lived"));
      chmodSync(node.at("/watched/file"), 0o600);
      const { slowest, bodies } = await probe(node, () => performance.now() > end);
      t.log(`the slowest answer took ${Math.round(slowest)} ms`);
      t.regex([...bodies].join("\n"), /commits wait: .*locked by another process/);
    } finally {
      locked[Symbol.dispose]();
    }
    const own = (file: string) => node.alerted((one) => one.path === file, seen);
    for (const file of [join(node.dir, "policy.yaml"), join(node.state, "agent.key")])
      t.like(await own(file), {
        rule: "agent/self",
        severity: "critical",
        actor: { pid: process.pid },
      });
    t.like(await own(node.at("/watched/short-lived")), { change: "transient" });
    t.like(await own(node.at("/watched/file")), { change: "modified", fields: ["mode"] });
    await until(async () => {
      const { body } = await get(`http://${node.watching.listen}/healthz`);
      return (JSON.parse(body) as { degraded: string[] }).degraded.length === 0;
    });
    await until(() => node.events().includes("fim.agent.recovered"), 30_000);
    t.true(node.events().includes("fim.agent.degraded"));
    t.is(await node.watching.stop(), 0);
  },
);
