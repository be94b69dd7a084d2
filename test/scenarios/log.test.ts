import test from "ava";
import { readFileSync } from "node:fs";
import { wrap } from "../helpers/processes.ts";
import { makeNode, alertsOf } from "../helpers/node.ts";
import { until } from "../helpers/wait.ts";

test.serial(
  "log prints the alerts of the chain in order, and only those that are asked for",
  async (t) => {
    using node = makeNode({ rules: { "/srv/**": "high", "/etc/**": "medium" } });
    for (const path of ["/srv/a", "/etc/b"]) node.write(path, "as it was\n");
    await node.capture();
    {
      await using receiver = await node.startReceiver();
      await using watching = await node.watch({
        webhooks: [{ url: receiver.url, secret: node.secretFile }],
        config: { watch: { quickSweepEvery: "1s" } },
      });
      node.write("/srv/a", "one\n");
      await until(() => alertsOf(receiver).length === 1, 30_000);
      node.write("/etc/b", "two\n");
      await until(() => alertsOf(receiver).length === 2, 30_000);
      t.is(await watching.stop(), 0);
    }
    const printed = async (...args: readonly string[]): Promise<readonly string[]> => {
      const { code, stdout, stderr } = await node.run("log", ...args);
      t.is(code, 0, stderr);
      return stdout.split("\n").filter((line) => line !== "");
    };
    const [first = "", second = "", ...rest] = await printed();
    t.regex(first, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d high \S+: \/srv\/a modified: content/);
    t.regex(second, / medium \S+: \/etc\/b modified: content/);
    t.deepEqual(rest, []);
    t.deepEqual(await printed("--min-severity", "high"), [first]);
    t.deepEqual(await printed("--path", "/etc/**"), [second]);
    t.deepEqual(await printed("--since", "1h"), [first, second]);
    t.deepEqual(await printed("--since", "2100-01-01T00:00:00Z"), []);
    const [event = "{}"] = await printed("--format", "ndjson");
    t.is((JSON.parse(event) as { readonly class_uid: number }).class_uid, 1001);
    const wrong = await node.run("log", "--path", "etc");
    t.is(wrong.code, 2);
    t.regex(wrong.stderr, /--path etc: is not absolute/);
  },
);

test.serial(
  "watch --format ndjson prints the events that the chain holds, one a line",
  async (t) => {
    using node = makeNode({ rules: { "/srv/**": "high" } });
    node.write("/srv/a", "as it was\n");
    await node.capture();
    const printed = node.beside("printed");
    {
      await using watching = await node.watch({
        program: wrap(node.beside("watch"), `exec AGENT "$@" > ${printed}`),
        args: ["--format", "ndjson"],
      });
      node.write("/srv/a", "one\n");
      node.write("/srv/b", "two\n");
      await until(() => readFileSync(printed, "utf8").split("\n").length === 3, 30_000);
      t.is(await watching.stop(), 0);
    }
    const lines = readFileSync(printed, "utf8").trimEnd().split("\n");
    const events = lines.map((line) => JSON.parse(line) as unknown);
    const held = node.records().filter(({ body }) => body["class_uid"] === 1001);
    t.deepEqual(
      events,
      held.map(({ body }) => body),
    );
    t.is(events.length, 2);
  },
);
