import test from "ava";
import { chmodSync, rmSync } from "node:fs";
import { makeNode, alertsOf } from "../helpers/node.ts";
import { until } from "../helpers/wait.ts";

test.serial(
  "what brings a path back to the baseline is reported as restored, and as info",
  async (t) => {
    using node = makeNode({ rules: { "/etc/**": "high" } });
    node.write("/etc/file", "as it was\n");
    chmodSync(node.at("/etc/file"), 0o600);
    await node.capture();
    await using receiver = await node.startReceiver();
    await using watching = await node.watch({
      webhooks: [{ url: receiver.url, secret: node.secretFile }],
      config: { watch: { quickSweepEvery: "1s" } },
    });
    t.truthy(watching.pid);
    const deeds: readonly (readonly [act: () => void, restored: true | undefined])[] = [
      [() => chmodSync(node.at("/etc/file"), 0o666), undefined],
      [() => chmodSync(node.at("/etc/file"), 0o600), true],
      [() => node.write("/etc/file", "other\n"), undefined],
      [() => node.write("/etc/file", "as it was\n"), true],
      [() => node.write("/etc/new", "new\n"), undefined],
      [() => rmSync(node.at("/etc/new")), undefined],
      [() => rmSync(node.at("/etc/file")), undefined],
    ];
    for (const [at, [act, restored]] of deeds.entries()) {
      act();
      const alert = await until(() => alertsOf(receiver)[at], 30_000);
      t.is(alert.restored, restored, `${at}: ${alert.change} ${alert.path}`);
      t.is(alert.severity, restored ? "info" : "high");
    }
  },
);
