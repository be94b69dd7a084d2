import test from "ava";
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
