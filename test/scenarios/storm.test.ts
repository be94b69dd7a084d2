import test from "ava";
import { readFileSync } from "node:fs";
import type { Watching } from "../helpers/agent.ts";
import { until } from "../helpers/wait.ts";
import { alertsOf, makeNode, typesOf } from "../helpers/node.ts";
import type { Alert } from "../helpers/node.ts";

const patience = 120_000;
const mebibyte = 2 ** 20;

/** Bytes: the most that the process ever held (proc_pid_status(5)). */
function peakMemory({ pid }: Watching): number {
  const [, kibibytes] =
    /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kibibytes) * 1024;
}

const sum = (alerts: readonly Alert[]): number =>
  alerts.reduce((total, { count }) => total + (count ?? 1), 0);

const created = (alerts: readonly Alert[], directory: string): readonly Alert[] =>
  alerts.filter(({ change, path }) => change === "created" && path.startsWith(directory));

test.serial(
  "a storm under a medium rule is folded into few alerts that count all of it, and none under a high rule is",
  async (t) => {
    using stage = makeNode({ rules: { "/srv/medium/**": "medium", "/srv/high/**": "high" } });
    for (const name of ["medium", "high"]) stage.write(`/srv/${name}/known`, "");
    await stage.capture();
    await using receiver = await stage.startReceiver();
    const webhooks = [{ url: receiver.url, secret: stage.secretFile }];
    await using watching = await stage.watch({
      webhooks,
      config: { watch: { quickSweepEvery: "1s" } },
    });
    for (let file = 0; file < 5000; file += 1) stage.write(`/srv/medium/file-${file}`, `${file}`);
    await receiver.until(() => sum(created(alertsOf(receiver), "/srv/medium/")) >= 5000, patience);
    const medium = created(alertsOf(receiver), "/srv/medium/");
    t.is(sum(medium), 5000);
    t.true(medium.length < 1000, `${medium.length} alerts`);
    const folded = medium.filter(({ examples }) => examples);
    t.true(folded.length > 0);
    for (const { examples, count } of folded) {
      t.true((count ?? 0) > 0);
      t.is(examples?.length, Math.min(10, count ?? 0));
      for (const path of examples ?? []) t.regex(path, /^\/srv\/medium\/file-\d+$/);
    }
    for (let file = 0; file < 2000; file += 1) stage.write(`/srv/high/file-${file}`, `${file}`);
    await receiver.until(() => created(alertsOf(receiver), "/srv/high/").length >= 2000, patience);
    const peak = peakMemory(watching);
    t.log(`${medium.length} alerts for 5000 files, ${Math.round(peak / mebibyte)} MiB at most`);
    t.true(peak < 512 * mebibyte);
    t.is(await watching.stop(), 0);
    const high = created(alertsOf(receiver), "/srv/high/");
    t.is(high.length, 2000);
    t.is(new Set(high.map(({ path }) => path)).size, 2000);
    t.true(high.every(({ count }) => count === undefined));
    t.is(sum(created(alertsOf(receiver), "/srv/medium/")), 5000);
  },
);

test.serial(
  "beyond outbox.maxBytes low changes are counted in a signed record, and high ones are all there",
  async (t) => {
    using stage = makeNode({ rules: { "/srv/low/**": "low", "/srv/high/**": "high" } });
    for (const name of ["low", "high"]) stage.write(`/srv/${name}/known`, "");
    await stage.capture();
    await using receiver = await stage.startReceiver();
    receiver.answer({ status: 503 });
    const webhooks = [{ url: receiver.url, secret: stage.secretFile }];
    const config = { outbox: { maxBytes: "1MiB" }, watch: { quickSweepEvery: "1s" } };
    await using watching = await stage.watch({ webhooks, config });
    const changes = async (): Promise<number> =>
      [...(await watching.metrics())]
        .filter(([name]) => name.startsWith("fim_changes_total"))
        .reduce((total, [, value]) => total + value, 0);
    const storm = async (name: string, from: number, to: number): Promise<void> => {
      const before = await changes();
      for (let file = from; file < to; file += 1) stage.write(`/srv/${name}/file-${file}`, "");
      await until(async () => (await changes()) >= before + to - from, patience);
    };
    await storm("high", 0, 600);
    t.true(((await watching.metrics()).get("fim_outbox_bytes") ?? 0) > mebibyte);
    await storm("low", 0, 300);
    await storm("high", 600, 650);
    await watching.kill9();
    receiver.answer({});

    await using again = await stage.watch({ webhooks, config });
    const countOf = (): number =>
      receiver
        .accepted()
        .filter(({ type }) => type === "fim.agent.dropped")
        .reduce((total, { data }) => total + Number(data["count"]), 0);
    await until(() => countOf() >= 300, patience);
    await until(async () => (await again.metrics()).get("fim_outbox_records") === 0, patience);
    stage.write("/srv/low/after", "");
    await receiver.until(() => created(alertsOf(receiver), "/srv/low/after").length > 0, patience);
    t.is(await again.stop(), 0);
    t.is(countOf(), 300);
    t.deepEqual(
      created(alertsOf(receiver), "/srv/low/").map(({ path }) => path),
      ["/srv/low/after"],
    );
    t.is(new Set(created(alertsOf(receiver), "/srv/high/").map(({ path }) => path)).size, 650);
    t.is(typesOf(receiver).filter((type) => type === "fim.alert.created").length, 651);
    t.is((await stage.run("verify")).code, 0);
  },
);
