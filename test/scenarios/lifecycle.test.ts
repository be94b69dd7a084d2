import test from "ava";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { basename, dirname, join } from "node:path";
import { runAgent, startWatch } from "../helpers/agent.ts";
import type { Watching } from "../helpers/agent.ts";
import { freePort, get } from "../helpers/http.ts";
import type { Receiver } from "../helpers/receiver.ts";
import { until, within } from "../helpers/wait.ts";
import { alertsOf, makeNode, reportedBy, typesOf, writePolicy } from "../helpers/node.ts";
import type { TestNode } from "../helpers/node.ts";
import { launch } from "../helpers/processes.ts";

const patience = 60_000;

const untilTold = async (receiver: Receiver, path: string): Promise<void> =>
  await receiver.until(
    (accepted) => accepted.some(({ data }) => reportedBy(data)?.path === path),
    patience,
  );

const countOf = (receiver: Receiver, type: string): number =>
  typesOf(receiver).filter((one) => one === type).length;

const health = async ({ listen }: Watching): Promise<number> =>
  (await get(`http://${listen}/healthz`)).status;

/** Alive, so that the kubelet does not restart it, and says that the disk is full. */
async function isDegraded({ listen }: Watching): Promise<boolean> {
  const { status, body } = await get(`http://${listen}/healthz`);
  return status === 200 && body.includes("the disk is full");
}

async function makeKnown(rules = { "/srv/**": "high" } as const): Promise<TestNode> {
  const stage = makeNode({ rules: rules });
  for (let file = 0; file < 5; file += 1) stage.write(`/srv/known-${file}`, `${file}`);
  await stage.capture();
  return stage;
}

const metricsOfTheContract = [
  'fim_hints_total{engine="chokidar"}',
  'fim_changes_total{change="created",severity="high",verdict="unexpected"}',
  'fim_alert_latency_seconds_bucket{le="+Inf"}',
  "fim_delivery_latency_seconds_count{sink=",
  "fim_outbox_records",
  "fim_outbox_bytes",
  'fim_engine_info{engine="chokidar"}',
  'fim_engine_overflows_total{engine="chokidar"}',
  'fim_attribution_total{result="none"}',
  "fim_baseline_generation",
  "fim_watched_paths",
  'fim_sweep_duration_seconds{sweep="full"}',
  'fim_sweep_duration_seconds{sweep="quick"}',
  'fim_sweep_age_seconds{sweep="full"}',
  'fim_sweep_age_seconds{sweep="quick"}',
  "process_resident_memory_bytes",
  "process_cpu_seconds_total",
];

test.serial("readiness is refused until nothing can be missed, and then nothing is", async (t) => {
  using stage = await makeKnown();
  await using receiver = await stage.startReceiver();
  const webhooks = [{ url: receiver.url, secret: stage.secretFile }];
  const listen = `127.0.0.1:${await freePort()}`;
  const config = join(stage.dir, "config.yaml");
  writeFileSync(config, JSON.stringify({ webhooks, watch: { quickSweepEvery: "1s" } }));
  const more = ["--engine", "chokidar", "--listen", listen, "--config", config];
  const { child, ended } = launch(["watch", ...stage.args, ...more]);
  try {
    const statuses: number[] = [];
    await until(async () => {
      if (child.exitCode !== null) throw new Error(`watch ended with ${child.exitCode}`);
      const reply = await get(`http://${listen}/readyz`).catch(() => undefined);
      if (reply) statuses.push(reply.status);
      return reply?.status === 200;
    }, patience);
    stage.write("/srv/at-once", "");
    t.true(statuses.length > 1);
    t.deepEqual(new Set(statuses.slice(0, -1)), new Set([503]));
    await untilTold(receiver, "/srv/at-once");
    for (let round = 0; round < 100; round += 1) {
      stage.write(`/srv/round-${round}`, `${round}`);
      await untilTold(receiver, `/srv/round-${round}`);
    }
    t.is((await get(`http://${listen}/healthz`)).status, 200);
    await until(async () => {
      const { body } = await get(`http://${listen}/metrics`);
      return metricsOfTheContract.every((name) => body.includes(`\n${name}`));
    }, patience).catch(() => undefined);
    const { body } = await get(`http://${listen}/metrics`);
    t.deepEqual(
      metricsOfTheContract.filter((name) => !body.includes(`\n${name}`)),
      [],
    );
    // On a slow day a file is seen before its content is, which is a change of its own.
    const created = alertsOf(receiver).filter(({ change }) => change === "created");
    t.is(created.length, 101);
    t.is(new Set(created.map(({ path }) => path)).size, 101);
  } finally {
    child.kill("SIGTERM");
    await ended;
  }
  t.is(child.exitCode, 0);
});

test.serial(
  "SIGTERM ends the agent within 5 s and leaves the queue whole, however the receiver hangs",
  async (t) => {
    using stage = await makeKnown();
    await using receiver = await stage.startReceiver();
    const webhooks = [{ url: receiver.url, secret: stage.secretFile }];
    receiver.answer("hang");
    {
      await using watching = await stage.watch({ webhooks });
      for (let file = 0; file < 20; file += 1) stage.write(`/srv/new-${file}`, "");
      await until(
        async () => ((await watching.metrics()).get("fim_outbox_records") ?? 0) >= 20,
        patience,
      );
      // A client that scrapes and never reads must not hold it up either.
      const [host, port] = watching.listen.split(":");
      const scrape = connect(Number(port), host);
      scrape.on("error", () => undefined).write("GET /metrics HTTP/1.1\r\n");
      const asked = performance.now();
      t.is(await watching.stop(), 0);
      t.true(performance.now() - asked < 5000);
      scrape.destroy();
    }
    receiver.answer({});
    const queued = stage.records().map(({ id }) => id);
    await using again = await stage.watch({ webhooks });
    await until(async () => (await again.metrics()).get("fim_outbox_records") === 0, patience);
    t.deepEqual(
      receiver
        .accepted()
        .slice(0, queued.length)
        .map(({ id }) => id),
      queued,
    );
    t.is(alertsOf(receiver).filter(({ change }) => change === "created").length, 20);
  },
);

test.serial("SIGTERM while the agent starts ends it too, with 0", async (t) => {
  using stage = await makeKnown();
  for (let file = 0; file < 3000; file += 1) stage.write(`/srv/file-${file}`, "");
  const listen = `127.0.0.1:${await freePort()}`;
  const more = ["--engine", "chokidar", "--listen", listen];
  const { child, ended } = launch(["watch", ...stage.args, ...more]);
  try {
    await until(async () => await get(`http://${listen}/readyz`).catch(() => undefined), patience);
    child.kill("SIGTERM");
    await within(ended, patience, "the end");
    t.is(child.exitCode, 0);
  } finally {
    child.kill("SIGKILL");
  }
  t.is((await stage.run("verify")).code, 0);
});

test.serial("a root and a state directory may be reached through links", async (t) => {
  using stage = await makeKnown();
  await using receiver = await stage.startReceiver();
  const link = (name: string): string => join(stage.dir, name);
  symlinkSync(stage.root, link("root-link"));
  symlinkSync(dirname(stage.state), link("beside"));
  const hook = { url: receiver.url, secret: stage.secretFile };
  await using watching = await startWatch({
    root: link("root-link"),
    state: join(link("beside"), basename(stage.state)),
    policy: stage.policy,
    engine: "chokidar",
    config: { webhooks: [hook], watch: { quickSweepEvery: "10m" } },
  });
  stage.write("/srv/new", "");
  await untilTold(receiver, "/srv/new");
  t.is((await watching.metrics()).get('fim_engine_info{engine="chokidar"}'), 1);
  t.is(countOf(receiver, "fim.agent.degraded"), 0);
});

test.serial("SIGHUP, SIGUSR1 and SIGUSR2 neither end a watch nor open a debugger", async (t) => {
  using stage = await makeKnown();
  await using receiver = await stage.startReceiver();
  const webhooks = [{ url: receiver.url, secret: stage.secretFile }];
  await using watching = await stage.watch({ webhooks });
  for (const name of ["SIGHUP", "SIGUSR1", "SIGUSR2"] as const) {
    process.kill(watching.pid, name);
    stage.write(`/srv/after-${name}`, name);
    await untilTold(receiver, `/srv/after-${name}`);
  }
  t.is(await watching.stop(), 0);
  t.is(countOf(receiver, "fim.agent.stopped"), 1);
  t.deepEqual(
    watching.lines.filter((line) => line.includes("Debugger")),
    [],
  );
});

test.serial(
  "what changes while the agent is down is reported as such, at the next start and once",
  async (t) => {
    using stage = await makeKnown();
    await using receiver = await stage.startReceiver();
    const webhooks = [{ url: receiver.url, secret: stage.secretFile }];
    {
      await using watching = await stage.watch({ webhooks });
      stage.write("/srv/live", "");
      await untilTold(receiver, "/srv/live");
      t.is(await watching.stop(), 0);
    }
    stage.write("/srv/new", "new");
    stage.write("/srv/known-1", "other");
    rmSync(stage.at("/srv/known-2"));
    execFileSync("chmod", ["0600", stage.at("/srv/known-3")]);
    for (let start = 0; start < 2; start += 1) {
      await using watching = await stage.watch({ webhooks });
      await until(async () => (await watching.metrics()).get("fim_outbox_records") === 0, patience);
      t.is(await watching.stop(), 0);
    }
    t.deepEqual(
      alertsOf(receiver)
        .map(({ path, change, offline }) => `${path} ${change}${offline ? " offline" : ""}`)
        .toSorted(),
      [
        "/srv/known-1 modified offline",
        "/srv/known-2 deleted offline",
        "/srv/known-3 modified offline",
        "/srv/live created",
        "/srv/new created offline",
      ],
    );
  },
);

test.serial("an agent that cannot run says why and what to do", async (t) => {
  using stage = await makeKnown();
  const occupied = createServer();
  await new Promise<void>((resolve) => {
    occupied.listen(0, "127.0.0.1", resolve);
  });
  const { port } = occupied.address() as AddressInfo;
  const free = `127.0.0.1:${await freePort()}`;
  const barred = join(stage.dir, "barred");
  mkdirSync(barred);
  cpSync(stage.state, barred, { recursive: true });
  execFileSync("mount", ["--bind", barred, barred]);
  execFileSync("mount", ["-o", "remount,bind,ro", barred]);
  try {
    const refuse = async (code: number, says: RegExp, args: readonly string[]): Promise<void> => {
      const ended = await runAgent(args);
      t.is(ended.code, code, ended.stderr);
      t.regex(ended.stderr, says);
      t.regex(ended.stderr, /^hint: ./m);
      t.notRegex(ended.stderr, /\n\s+at |bug/);
    };
    const watch = ["watch", ...stage.args, "--engine", "chokidar"];
    await refuse(2, /^fim-agent: listen 127\.0\.0\.1:\d+: another program listens there$/m, [
      ...watch,
      "--listen",
      `127.0.0.1:${port}`,
    ]);
    const elsewhere = ["watch", "--root", stage.root, "--policy", stage.policy, "--listen", free];
    await refuse(3, /^fim-agent: .*barred.*$/m, [...elsewhere, "--state", barred]);
    await refuse(3, /^fim-agent: baseline: there is none/m, [
      ...elsewhere,
      "--state",
      join(stage.dir, "nowhere"),
    ]);
    t.false(existsSync(join(stage.dir, "nowhere")));
    await using first = await stage.watch();
    await refuse(4, /^fim-agent: lock .*: held by another process/m, [...watch, "--listen", free]);
    t.is(await health(first), 200);
    t.is(await first.stop(), 0);
  } finally {
    execFileSync("umount", [barred]);
    occupied.close();
  }
});

test.serial("a baseline that is gone or altered is a critical event and a refusal", async (t) => {
  using stage = await makeKnown();
  cpSync(stage.state, join(stage.dir, "older"), { recursive: true });
  stage.write("/srv/known-0", "accepted");
  t.is((await stage.run("accept", "/srv/known-0", "--reason", "a test")).code, 0);
  const good = join(stage.dir, "good");
  cpSync(stage.state, good, { recursive: true });
  const removeDatabase = (): void => {
    for (const end of ["", "-wal", "-shm"])
      rmSync(join(stage.state, `fim.db${end}`), { force: true });
  };
  const deeds: Readonly<Record<string, () => void>> = {
    "the statement is deleted": () => void stage.query("DELETE FROM statement"),
    "a row is deleted": () =>
      void stage.query("DELETE FROM baseline WHERE path = CAST('/srv/known-1' AS BLOB)"),
    "a row is altered": () =>
      void stage.query(
        "UPDATE baseline SET row = (SELECT row FROM baseline ORDER BY path LIMIT 1)",
      ),
    "the database is deleted": removeDatabase,
    "an older database is put back": () => {
      removeDatabase();
      cpSync(join(stage.dir, "older", "fim.db"), join(stage.state, "fim.db"));
    },
    "the anchor is deleted": () => rmSync(join(stage.state, "anchor.json")),
  };
  for (const [deed, perform] of Object.entries(deeds)) {
    rmSync(stage.state, { recursive: true });
    cpSync(good, stage.state, { recursive: true });
    perform();
    await using receiver = await stage.startReceiver();
    const config = join(stage.dir, "config.yaml");
    const webhooks = [{ url: receiver.url, secret: stage.secretFile, minSeverity: "critical" }];
    writeFileSync(config, JSON.stringify({ webhooks }));
    const listen = `127.0.0.1:${await freePort()}`;
    const ended = await stage.run("watch", "--config", config, "--listen", listen);
    t.is(ended.code, 3, `${deed}: ${ended.stderr}`);
    t.regex(ended.stderr, /^fim-agent: baseline: .*\nhint: ./m, deed);
    const [reported] = receiver.accepted().filter(({ type }) => type === "fim.agent.degraded");
    t.is(reported?.data["severity"], "critical", deed);
    t.regex(String(reported?.data["code"]), /^BASELINE_/, deed);
  }
});

test.serial(
  "what is accepted while the agent watches is reported as a baseline and as no alert",
  async (t) => {
    using stage = await makeKnown();
    await using receiver = await stage.startReceiver();
    const webhooks = [{ url: receiver.url, secret: stage.secretFile }];
    await using watching = await stage.watch({
      webhooks,
      config: { watch: { quickSweepEvery: "1s" } },
    });
    stage.write("/srv/known-0", "meant");
    await untilTold(receiver, "/srv/known-0");
    const before = countOf(receiver, "fim.agent.baseline");
    const accepted = await stage.run("accept", "/srv/known-0", "--reason", "meant");
    t.is(accepted.code, 0, accepted.stderr);
    await receiver.until(() => countOf(receiver, "fim.agent.baseline") === before + 1, patience);
    const event = receiver.accepted().findLast(({ type }) => type === "fim.agent.baseline");
    t.is(event?.data["reason"], "meant");
    t.deepEqual(event?.data["paths"], ["/srv/known-0"]);
    await until(
      async () =>
        (await watching.metrics()).get("fim_baseline_generation") === event?.data["counter"],
      patience,
    );
    stage.write("/srv/marker", "");
    await untilTold(receiver, "/srv/marker");
    t.deepEqual(
      [...new Set(alertsOf(receiver).map(({ path }) => path))],
      ["/srv/known-0", "/srv/marker"],
    );
    t.is(await health(watching), 200);
    t.is(await watching.stop(), 0);
    t.is((await stage.run("check", "/srv/known-0")).code, 0);
  },
);

test.serial(
  "a full disk is reported, and when there is room again every change made meanwhile is alerted",
  async (t) => {
    using stage = makeNode({ rules: { "/srv/**": "high", "/many/**": "medium" } });
    for (let file = 0; file < 5; file += 1) stage.write(`/srv/known-${file}`, `${file}`);
    stage.write("/many/known", "");
    mkdirSync(stage.state, { mode: 0o700 });
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=3m,mode=0700", "none", stage.state]);
    try {
      await stage.capture();
      await using receiver = await stage.startReceiver();
      const webhooks = [{ url: receiver.url, secret: stage.secretFile }];
      await using watching = await stage.watch({
        webhooks,
        config: { watch: { quickSweepEvery: "1s" } },
      });
      stage.write("/srv/before", "");
      await untilTold(receiver, "/srv/before");
      // These are counted, and due to be reported while there is no room.
      for (let file = 0; file < 230; file += 1) stage.write(`/many/${file}`, "");
      const counted = (): number => {
        const [fold] = stage.query("SELECT since FROM fold");
        return Number(fold?.["since"] ?? Infinity);
      };
      const since = await until(() => {
        const begun = counted();
        return begun < Infinity && begun;
      }, patience);
      // A delivery that is confirmed while nothing can be written.
      receiver.answer({ delay: 200 });
      const filler = join(stage.state, "filler");
      t.throws(() => writeFileSync(filler, Buffer.alloc(4 * 2 ** 20)), { code: "ENOSPC" });
      let files = 0;
      await until(async () => {
        stage.write(`/srv/full-${files}`, `${files}`);
        files += 1;
        return await isDegraded(watching);
      }, patience);
      for (let more = 0; more < 60; more += 1) stage.write(`/srv/more-${more}`, `${more}`);
      stage.write("/srv/known-0", "changed");
      await until(() => Date.now() - since > 13_000, patience);
      t.true(await isDegraded(watching));
      receiver.answer({});
      rmSync(filler);
      const expected = [
        ...Array.from({ length: files }, (_, file) => `/srv/full-${file}`),
        ...Array.from({ length: 60 }, (_, file) => `/srv/more-${file}`),
        "/srv/known-0",
      ];
      const missing = (): readonly string[] => {
        const reported = new Set(alertsOf(receiver).map(({ path }) => path));
        return expected.filter((path) => !reported.has(path));
      };
      await receiver.until(() => missing().length === 0, patience).catch(() => undefined);
      t.deepEqual(missing(), []);
      await until(async () => !(await isDegraded(watching)), patience);
      t.true(typesOf(receiver).includes("fim.agent.recovered"));
      t.is(await watching.stop(), 0);
      const many = alertsOf(receiver).filter(({ path }) => path.startsWith("/many/"));
      t.is(
        many.reduce((sum, { count }) => sum + (count ?? 1), 0),
        230,
      );
      t.is((await stage.run("verify")).code, 0);
    } finally {
      execFileSync("umount", [stage.state]);
    }
  },
);

test.serial(
  "a state directory that is deleted under a running agent is reported, and alerts go on",
  async (t) => {
    using stage = await makeKnown();
    await using receiver = await stage.startReceiver();
    const webhooks = [{ url: receiver.url, secret: stage.secretFile }];
    await using watching = await stage.watch({
      webhooks,
      config: { watch: { quickSweepEvery: "1s" } },
    });
    await receiver.until((accepted) => accepted.length > 0);
    rmSync(stage.state, { recursive: true });
    await receiver.until(() => countOf(receiver, "fim.agent.degraded") > 0, patience);
    t.is(await health(watching), 503);
    stage.write("/srv/after", "");
    await untilTold(receiver, "/srv/after");
    t.is(await watching.stop(), 0);
  },
);

test.serial(
  "the log is JSON, one record a line, and holds neither the webhook's key nor its path",
  async (t) => {
    using stage = await makeKnown();
    await using receiver = await stage.startReceiver();
    const token = "T0K3N-of-the-path";
    const url = `http://127.0.0.1:${receiver.port}/services/${token}?key=${token}`;
    const webhooks = [
      { url, secret: stage.secretFile },
      { url: `http://127.0.0.1:${await freePort()}/${token}`, secret: stage.secretFile },
    ];
    receiver.answer((number) => (number % 2 === 0 ? { status: 500, body: token } : {}));
    await using watching = await stage.watch({ webhooks, args: ["--log-level", "trace"] });
    stage.write("/srv/new", "");
    await untilTold(receiver, "/srv/new");
    await until(() => watching.lines.some((line) => line.includes("ECONNREFUSED")), patience);
    t.is(await watching.stop(), 0);
    t.true(watching.lines.length > 3);
    t.is(watching.logs().length, watching.lines.length);
    for (const record of watching.logs()) {
      t.is(typeof record["msg"], "string");
      t.is(typeof record["time"], "number");
    }
    const key = stage.secret.replace("whsec_", "");
    const written = [...watching.lines, ...stage.records().map(({ body }) => JSON.stringify(body))];
    for (const secret of [token, key])
      t.deepEqual(
        written.filter((line) => line.includes(secret)),
        [],
      );
  },
);

test.serial(
  "a policy that watches other paths than before raises no storm, and from then on everything",
  async (t) => {
    using stage = makeNode({ rules: { "/srv/**": "high", "/old/**": "high" } });
    for (let file = 0; file < 50; file += 1)
      for (const directory of ["srv", "old", "new"])
        stage.write(`/${directory}/${file}`, `${file}`);
    await stage.capture();
    await using receiver = await stage.startReceiver();
    const webhooks = [{ url: receiver.url, secret: stage.secretFile }];
    const policy = join(stage.dir, "other.yaml");
    writePolicy(policy, { "/srv/**": "high", "/new/**": "high" });
    {
      await using watching = await stage.watch({ webhooks, policy });
      for (const directory of ["old", "new", "srv"]) stage.write(`/${directory}/live`, "");
      await untilTold(receiver, "/srv/live");
      await untilTold(receiver, "/new/live");
      t.is(await watching.stop(), 0);
    }
    t.deepEqual(
      alertsOf(receiver)
        .map(({ path, change }) => `${path} ${change}`)
        .toSorted(),
      ["/new/live created", "/srv/live created"],
    );
    t.is(countOf(receiver, "fim.agent.degraded"), 1, "what was never approved is said once");
    stage.write("/new/offline", "");
    rmSync(stage.at("/new/1"));
    rmSync(stage.at("/old/1"));
    {
      await using watching = await stage.watch({ webhooks, policy });
      stage.write("/srv/marker", "");
      await untilTold(receiver, "/srv/marker");
      t.is(await watching.stop(), 0);
    }
    t.deepEqual(
      alertsOf(receiver)
        .slice(2)
        .map(({ path, change, offline }) => `${path} ${change}${offline ? " offline" : ""}`)
        .toSorted(),
      ["/new/1 deleted offline", "/new/offline created offline", "/srv/marker created"],
    );
  },
);
