import test from "ava";
import { createHash } from "node:crypto";
import { chmodSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { freePort } from "../helpers/http.ts";
import { until } from "../helpers/wait.ts";
import { alertsOf, makeNode } from "../helpers/node.ts";
import type { Alert, TestNode } from "../helpers/node.ts";
import { launch } from "../helpers/processes.ts";
import { seeded } from "../helpers/seeded.ts";

const rounds = 50;
/** Milliseconds for all rounds: a slow machine does fewer. */
const longest = 110_000;
const changesARound = 60;

/** Changes files at random, each write with content that never was before. */
class Storm {
  readonly #stage: TestNode;
  readonly #random: () => number;
  #number = 0;

  constructor(stage: TestNode, random: () => number) {
    this.#stage = stage;
    this.#random = random;
  }

  step(): void {
    const directory = `/srv/d${this.#pick(4)}`;
    const kind = this.#random();
    this.#number += 1;
    const known = this.#anyOf(directory);
    const path = `${directory}/f${this.#pick(400)}`;
    const fresh = `number ${this.#number}\n${"x".repeat(this.#pick(3000))}`;
    if (kind < 0.4 || known === undefined) this.#stage.write(path, fresh);
    else if (kind < 0.6) this.#stage.write(known, fresh);
    else if (kind < 0.75) this.#replace(known, fresh);
    else if (kind < 0.85) rmSync(this.#stage.at(known));
    else if (kind < 0.95) chmodSync(this.#stage.at(known), 0o600 + this.#pick(64));
    else renameSync(this.#stage.at(known), this.#stage.at(`${directory}/renamed-${this.#number}`));
  }

  /** As an editor saves: a new file is renamed over the old one. */
  #replace(path: string, text: string): void {
    const temporary = this.#stage.at(`${path}.tmp-${this.#number}`);
    writeFileSync(temporary, text);
    renameSync(temporary, this.#stage.at(path));
  }

  #pick(below: number): number {
    return Math.floor(this.#random() * below);
  }

  #anyOf(directory: string): string | undefined {
    const names = readdirSync(this.#stage.at(directory));
    const name = names[this.#pick(names.length)];
    return name && `${directory}/${name}`;
  }
}

function digests(stage: TestNode): ReadonlyMap<string, string> {
  const all = readdirSync(stage.at("/srv"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const file = join(entry.parentPath, entry.name);
      const digest = createHash("sha256").update(readFileSync(file)).digest("hex");
      return [file.slice(stage.root.length), digest] as const;
    });
  return new Map(all);
}

/** Every name that an alert says something of, with the last digest reported and whether it was reported to be gone. */
function lastReported(alerts: readonly Alert[]): ReadonlyMap<string, string | undefined> {
  const last = new Map<string, string | undefined>();
  for (const { path, from, change, after } of alerts) {
    if (from !== undefined) last.set(from, undefined);
    last.set(path, change === "deleted" ? undefined : after?.sha256);
  }
  return last;
}

test("nothing is lost, repeated or reported out of order when the agent is killed at any moment of a storm of changes", async (t) => {
  const seed = 20_261_123;
  const random = seeded(seed);
  using stage = makeNode({ rules: { "/srv/**": "high" } });
  await using receiver = await stage.startReceiver();
  for (let number = 0; number < 80; number += 1)
    stage.write(`/srv/d${number % 4}/f${number * 5}`, `before ${number}`);
  await stage.capture();
  const before = digests(stage);
  const webhooks = [{ url: receiver.url, secret: stage.secretFile }];
  const config = { watch: { quickSweepEvery: "1s" } };
  const storm = new Storm(stage, random);
  const configFile = join(stage.dir, "config.yaml");
  writeFileSync(configFile, JSON.stringify({ webhooks, ...config }));

  const end = performance.now() + longest;
  let done = 0;
  for (; done < rounds && performance.now() < end; done += 1) {
    const isStarting = done % 5 === 4;
    const fatal = Math.floor(random() * changesARound);
    if (isStarting) {
      const listen = `127.0.0.1:${await freePort()}`;
      const more = ["--engine", "chokidar", "--listen", listen, "--config", configFile];
      const { child, ended } = launch(["watch", ...stage.args, ...more]);
      const lifetime = random() * 1500;
      const dead = pause(lifetime).then(() => child.kill("SIGKILL"));
      for (let step = 0; step < changesARound; step += 1) {
        storm.step();
        await pause(lifetime / changesARound);
      }
      await Promise.all([dead, ended]);
    } else {
      await using watching = await stage.watch({ webhooks, config });
      let dead: Promise<void> | undefined;
      for (let step = 0; step < changesARound; step += 1) {
        storm.step();
        if (step === fatal) dead = watching.kill9();
        if (random() < 0.5) await pause(random() * 20);
      }
      await dead;
    }
  }
  t.log(`${done} rounds with seed ${seed}`);

  const isDelivered = async (): Promise<void> => {
    await using watching = await stage.watch({ webhooks, config });
    await until(async () => (await watching.metrics()).get("fim_outbox_records") === 0, 60_000);
    t.is(await watching.stop(), 0);
  };
  await isDelivered();
  const where = `seed ${seed}, ${done} rounds`;
  const known = alertsOf(receiver).length;
  const after = digests(stage);
  await isDelivered();
  const alerts = alertsOf(receiver);
  t.is(alerts.length, known, `a further start has nothing to report (${where})`);

  t.true(
    alerts.some(({ offline }) => offline) && alerts.some(({ offline }) => !offline),
    `some changes were seen as they happened, others at the next start (${where})`,
  );
  const reported = lastReported(alerts);
  const names = new Set([...before.keys(), ...after.keys()]);
  const changed = [...names].filter((path) => before.get(path) !== after.get(path));
  t.true(changed.length > 50, where);
  for (const path of changed) {
    t.true(reported.has(path), `${path} was reported (${where})`);
    t.is(reported.get(path), after.get(path), `${path} was reported as it now is (${where})`);
  }
  // A file that was just made may be seen empty, every time that it is made.
  const empty = createHash("sha256").digest("hex");
  const contents = alerts
    .filter(({ change, fields }) => change === "created" || fields?.includes("content"))
    .filter(({ after: seen }) => seen?.sha256 !== empty)
    .map(({ path, change, after: seen }) => `${change} ${path} ${seen?.sha256}`);
  t.deepEqual(
    contents.filter((one, at) => contents.indexOf(one) !== at),
    [],
    `each content is reported once (${where})`,
  );

  const chain = stage.records().map(({ id }) => id);
  t.true(chain.length > alerts.length);
  t.deepEqual(
    receiver.accepted().map(({ id }) => id),
    chain,
    `the receiver has the chain (${where})`,
  );
  const numbers = receiver
    .accepted()
    .flatMap(({ data }) => (data["metadata"] as { sequence?: number } | undefined)?.sequence ?? []);
  t.deepEqual(
    numbers,
    numbers.toSorted((a, b) => a - b),
    where,
  );
  t.is(new Set(numbers).size, numbers.length);
  const verified = await stage.run("verify");
  t.is(verified.code, 0, verified.stderr);
});
