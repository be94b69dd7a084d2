import type { ExecutionContext } from "ava";
import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  globSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { needs } from "../../src/agent/privileges.ts";
import { Attribution } from "../../src/attribute/attribute.ts";
import type { AttributionMode } from "../../src/attribute/attribute.ts";
import { capabilityBits } from "../../src/linux/process-capabilities.ts";
import { startWatch } from "../helpers/agent.ts";
import type { Watching } from "../helpers/agent.ts";
import { asNobody, asUserWith, cannotConfine, outOfReach, without } from "../helpers/confined.ts";
import { get } from "../helpers/http.ts";
import { until } from "../helpers/wait.ts";
import { needing } from "../helpers/needs.ts";
import { alertsOf, makeNode, reportedBy } from "../helpers/node.ts";
import type { TestNode } from "../helpers/node.ts";

const launcher = join(import.meta.dirname, "../../bin/fim-agent");
const names = needs.map(({ name }) => name);
const kept = capabilityBits(names);
const reason = cannotConfine([...names, "CAP_SETPCAP"]);
const patience = 60_000;

/** The best that this kernel lets root have; where it is less than "bpf", the agent says so each time. */
function bestAttribution(): AttributionMode {
  using own = Attribution.open({ root: "/" });
  return own.mode;
}
const best = bestAttribution();
const lossless = best === "bpf" ? [] : ["attribution"];

/** A program that starts bin/fim-agent so. */
function confined(stage: TestNode, prefix: readonly string[]): string {
  const program = join(stage.dir, "confined");
  writeFileSync(program, `#!/bin/sh\nexec ${[...prefix, launcher].join(" ")} "$@"\n`);
  chmodSync(program, 0o755);
  return program;
}

/** The lines of privileges of every thread. */
function threadsOf(pid: number): readonly ReadonlyMap<string, bigint>[] {
  return globSync(`/proc/${pid}/task/*/status`).map((file) => {
    const lines = readFileSync(file, "utf8").matchAll(/^(Cap\w+|NoNewPrivs):\s*([0-9a-f]+)$/gm);
    return new Map([...lines].map(([, name, value]) => [name ?? "", BigInt(`0x${value}`)]));
  });
}

/** Not one thread has more than may be kept, or can gain it. */
function assertLimited(t: ExecutionContext, watching: Watching): void {
  const threads = threadsOf(watching.pid);
  t.true(threads.length > 4);
  for (const thread of threads) {
    for (const set of ["CapEff", "CapPrm", "CapInh", "CapAmb"])
      t.is((thread.get(set) ?? ~0n) & ~kept, 0n, set);
    t.is(thread.get("NoNewPrivs"), 1n);
  }
}

/** What the agent says that it lost, from its log. */
function lostIn(watching: Watching): ReadonlyMap<string, string> {
  const reported = watching.logs().filter(({ msg }) => msg === "degraded");
  return new Map(reported.map(({ trouble, reason: why }) => [String(trouble), String(why)]));
}

function readyOf(watching: Watching): Readonly<Record<string, unknown>> {
  return watching.logs().find(({ msg }) => msg === "ready") ?? {};
}

interface Case {
  readonly lacks: readonly string[];
  readonly engine: "fanotify" | "chokidar";
  /** Named in the reason that is given. */
  readonly says: readonly string[];
}

const cases: readonly Case[] = [
  { lacks: [], engine: "fanotify", says: [] },
  { lacks: ["CAP_SYS_ADMIN"], engine: "chokidar", says: ["CAP_SYS_ADMIN"] },
  { lacks: ["CAP_DAC_READ_SEARCH"], engine: "fanotify", says: ["CAP_DAC_READ_SEARCH"] },
  { lacks: ["CAP_SYS_PTRACE"], engine: "fanotify", says: ["CAP_SYS_PTRACE"] },
  { lacks: ["CAP_FOWNER"], engine: "fanotify", says: ["CAP_FOWNER"] },
  // What CAP_SYS_ADMIN contains is not lost.
  { lacks: ["CAP_BPF"], engine: "fanotify", says: [] },
  { lacks: ["CAP_PERFMON"], engine: "fanotify", says: [] },
  {
    lacks: ["CAP_SYS_ADMIN", "CAP_BPF", "CAP_PERFMON"],
    engine: "chokidar",
    says: ["CAP_SYS_ADMIN", "CAP_BPF", "CAP_PERFMON"],
  },
  // The bounding set then stays as it is, but nothing can be gained from it.
  { lacks: ["CAP_SETPCAP"], engine: "fanotify", says: [] },
  { lacks: ["all"], engine: "chokidar", says: names },
];

for (const { lacks, engine, says } of cases) {
  const title =
    lacks.length === 0
      ? "with everything that it needs the agent keeps only that and reports no loss"
      : `without ${lacks.join(", ")} the agent watches with ${engine} and ${says.length > 0 ? "says what is lost" : "has lost nothing"}`;
  const prefix = without(...lacks);
  needing(reason ?? outOfReach(prefix), "serial")(title, async (t) => {
    using stage = makeNode({ rules: { "/etc/**": "high" } });
    stage.write("/etc/hosts", "127.0.0.1 localhost\n");
    await stage.capture();
    await using receiver = await stage.startReceiver();
    await using watching = await startWatch({
      root: stage.root,
      state: stage.state,
      policy: stage.policy,
      engine: "auto",
      program: confined(stage, prefix),
      config: { webhooks: [{ url: receiver.url, secret: stage.secretFile }] },
    });
    assertLimited(t, watching);
    t.is(readyOf(watching)["engine"], engine);
    stage.write("/etc/hosts", "10.0.0.1 evil\n");
    await receiver.until(() => alertsOf(receiver).length > 0, patience);
    t.like(alertsOf(receiver)[0], { path: "/etc/hosts", change: "modified", fields: ["content"] });
    const health = await get(`http://${watching.listen}/healthz`);
    t.is(health.status, 200);
    t.is(await watching.stop(), 0);

    const degraded = receiver.accepted().filter(({ type }) => type === "fim.agent.degraded");
    const troubles = [
      ...(says.length > 0 ? ["capabilities"] : []),
      ...(engine === "chokidar" ? ["engine fanotify"] : lossless),
    ];
    t.deepEqual([...lostIn(watching).keys()], troubles);
    t.deepEqual(
      degraded.map(({ data }) => data["trouble"]),
      troubles,
    );
    for (const trouble of troubles) t.true(health.body.includes(`${trouble}: `), trouble);
    const reported = says.length > 0 ? String(degraded[0]?.data["reason"]) : "";
    t.is(lostIn(watching).get("capabilities") ?? "", reported);
    for (const { name, without: loss } of needs)
      t.is(reported.includes(`without ${name}: ${loss}`), says.includes(name), name);
  });
}

needing(reason, "serial")(
  "the bounding set of every thread is reduced to what is needed",
  async (t) => {
    using stage = makeNode({ rules: { "/etc/**": "high" } });
    stage.write("/etc/hosts", "127.0.0.1 localhost\n");
    await stage.capture();
    await using watching = await stage.watch();
    for (const thread of threadsOf(watching.pid)) {
      t.is(thread.get("CapBnd"), kept);
      t.is(thread.get("CapEff"), kept);
      t.is(thread.get("CapInh"), 0n);
      t.is(thread.get("CapAmb"), 0n);
    }
    t.is(await watching.stop(), 0);
  },
);

needing(reason ?? outOfReach(without("CAP_DAC_READ_SEARCH")), "serial")(
  "what only its owner may read is read without the right to override permissions, and is reported as unreadable without CAP_DAC_READ_SEARCH",
  async (t) => {
    const prefix = without("CAP_DAC_READ_SEARCH");
    using stage = makeNode({ rules: { "/etc/**": "high" } });
    stage.write("/etc/theirs", "a secret\n");
    chmodSync(stage.at("/etc/theirs"), 0o600);
    chownSync(stage.at("/etc/theirs"), 1000, 1000);
    await stage.capture();
    await using receiver = await stage.startReceiver();
    const webhooks = [{ url: receiver.url, secret: stage.secretFile }];
    {
      await using watching = await stage.watch({ webhooks });
      stage.write("/etc/marker", "");
      await receiver.until(() => alertsOf(receiver).length > 0, patience);
      t.is(await watching.stop(), 0);
    }
    t.deepEqual(
      alertsOf(receiver).map(({ path }) => path),
      ["/etc/marker"],
    );
    await using watching = await startWatch({
      root: stage.root,
      state: stage.state,
      policy: stage.policy,
      program: confined(stage, prefix),
      config: { webhooks },
    });
    await receiver.until(() => alertsOf(receiver).length > 1, patience);
    t.is(await watching.stop(), 0);
    t.deepEqual(
      alertsOf(receiver).map(({ path, change }) => `${path} ${change}`),
      ["/etc/marker created", "/etc/theirs unreadable"],
    );
  },
);

function give(directory: string, uid: number): void {
  const { status } = spawnSync("chown", ["-R", `${uid}:${uid}`, directory]);
  if (status !== 0) throw new Error(`chown ended with ${status}`);
}

/** No process may read the configuration that startWatch writes: what is reported is read from the chain. */
async function watchAs(t: ExecutionContext, stage: TestNode, prefix: readonly string[]) {
  stage.write("/etc/hosts", "127.0.0.1 localhost\n");
  chmodSync(stage.dir, 0o755);
  give(stage.root, 65_534);
  await stage.capture();
  give(stage.state, 65_534);
  const watching = await startWatch({
    root: stage.root,
    state: stage.state,
    policy: stage.policy,
    program: confined(stage, prefix),
  });
  try {
    assertLimited(t, watching);
    writeFileSync(stage.at("/etc/hosts"), "10.0.0.1 evil\n");
    const alert = await until(
      () => stage.records().find(({ body }) => reportedBy(body)?.path === "/etc/hosts"),
      patience,
    );
    t.like(reportedBy(alert.body), { change: "modified", fields: ["content"] });
    t.is(await watching.stop(), 0);
    return watching;
  } finally {
    await watching[Symbol.asyncDispose]();
  }
}

needing(reason ?? outOfReach(asNobody), "serial")(
  "a user without any right watches a tree of its own with chokidar",
  async (t) => {
    using stage = makeNode({ rules: { "/etc/**": "high" } });
    const watching = await watchAs(t, stage, asNobody);
    t.like(readyOf(watching), { engine: "chokidar", attribution: "none" });
    t.deepEqual([...lostIn(watching).keys()], ["capabilities", "engine fanotify"]);
  },
);

needing(reason ?? outOfReach(asUserWith(...names, "CAP_KILL")), "serial")(
  "a user with the needed capabilities, and one too many, watches as well as root",
  async (t) => {
    const prefix = asUserWith(...names, "CAP_KILL");
    using stage = makeNode({ rules: { "/etc/**": "high" } });
    const watching = await watchAs(t, stage, prefix);
    t.like(readyOf(watching), { engine: "fanotify", attribution: best });
    t.deepEqual([...lostIn(watching).keys()], lossless);
  },
);

const refusals: readonly (readonly [what: string, spoil: (state: string) => void, says: RegExp])[] =
  [
    [
      "that its own mode does not let it write",
      (state) => chmodSync(state, 0o500),
      /^fim-agent: state \S+: uid 0 cannot write it \(EACCES; belongs to uid 0, mode 0500\)\nhint: .+\n$/,
    ],
    [
      "of another user",
      (state) => chownSync(state, 1000, 1000),
      /^fim-agent: state \S+: uid 0 cannot write it \(EACCES; belongs to uid 1000, mode 0700\)\nhint: .+\n$/,
    ],
    [
      "with a database of another user",
      (state) => chownSync(join(state, "fim.db"), 1000, 1000),
      /^fim-agent: database \S+: cannot be opened \(EACCES\)\nhint: .+\n$/,
    ],
  ];

needing(reason, "serial")(
  "watch refuses a state directory that it cannot write, and says why",
  async (t) => {
    using stage = makeNode({ rules: { "/etc/**": "high" } });
    stage.write("/etc/hosts", "127.0.0.1 localhost\n");
    await stage.capture();
    const spare = join(stage.dir, "spare");
    cpSync(stage.state, spare, { recursive: true });
    for (const [what, spoil, says] of refusals) {
      rmSync(stage.state, { recursive: true });
      cpSync(spare, stage.state, { recursive: true });
      chmodSync(stage.state, 0o700);
      spoil(stage.state);
      const { code, stderr } = await stage.run("watch", "--listen", "127.0.0.1:0");
      t.is(code, 3, what);
      t.regex(stderr, says, what);
    }
  },
);

needing(reason, "serial")(
  "a configuration from a pipe is read although watch gives up privileges first",
  async (t) => {
    using stage = makeNode({ rules: { "/etc/**": "high" } });
    stage.write("/etc/hosts", "127.0.0.1 localhost\n");
    t.is((await stage.run("baseline", "--node", "named-by-a-pipe")).code, 0);
    const pipe = join(stage.dir, "config.pipe");
    t.is(spawnSync("mkfifo", [pipe]).status, 0);
    const [watching] = await Promise.all([
      startWatch({
        root: stage.root,
        state: stage.state,
        policy: stage.policy,
        args: ["--config", pipe],
      }),
      writeFile(pipe, "node: named-by-a-pipe\n"),
    ]);
    t.is(await watching.stop(), 0);
    t.is(readyOf(watching)["node"], "named-by-a-pipe");
  },
);

needing(reason, "serial")(
  "only watch gives up privileges: an agent for a terminal keeps those of its user",
  async (t) => {
    using stage = makeNode({ rules: { "/etc/**": "high" } });
    stage.write("/etc/hosts", "127.0.0.1 localhost\n");
    const source = join(import.meta.dirname, "../../src/cli/local.ts");
    const program = join(stage.dir, "local.mjs");
    const script = `
    const { runLocally } = await import(${JSON.stringify(source)});
    const { readFileSync } = await import("node:fs");
    const stop = new AbortController();
    const onReady = () => {
      process.stdout.write(readFileSync("/proc/self/status", "utf8"));
      stop.abort();
    };
    const place = ${JSON.stringify({ root: stage.root, place: stage.state })};
    await runLocally({ ...place, onReady }, stop.signal);`;
    writeFileSync(program, script);
    const child = spawn(process.execPath, [program], {
      env: { ...process.env, FIM_POLICY: stage.policy },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let status = "";
    for await (const chunk of child.stdout.setEncoding("utf8")) status += String(chunk);
    t.regex(status, /^NoNewPrivs:\s*0$/m);
    const own = readFileSync("/proc/self/status", "utf8");
    t.is(/^CapEff:.*$/m.exec(status)?.[0], /^CapEff:.*$/m.exec(own)?.[0]);
  },
);
