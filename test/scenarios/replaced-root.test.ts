import test from "ava";
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { get } from "../helpers/http.ts";
import { until } from "../helpers/wait.ts";
import { startWatch } from "../helpers/agent.ts";
import { alertsOf, makeNode, typesOf } from "../helpers/node.ts";
import { fanotifyMissing } from "../helpers/processes.ts";

const engines = ["sweep", "chokidar", ...(fanotifyMissing === undefined ? ["fanotify"] : [])];

for (const engine of engines as ("sweep" | "chokidar" | "fanotify")[])
  test.serial(
    `when the root is renamed and made again, the agent reports it and watches the new tree (${engine})`,
    async (t) => {
      using stage = makeNode({ rules: { "/srv/**": "high" } });
      stage.write("/srv/file", "as it was\n");
      stage.write("/srv/other", "as it was\n");
      await stage.capture();
      await using receiver = await stage.startReceiver();
      await using watching = await startWatch({
        root: stage.root,
        state: stage.state,
        policy: stage.policy,
        engine,
        config: {
          webhooks: [{ url: receiver.url, secret: stage.secretFile }],
          watch: { quickSweepEvery: "1s" },
        },
      });
      const ready = async () => (await get(`http://${watching.listen}/readyz`)).status === 200;
      const reported = async (path: string, change: string) =>
        await until(
          () => alertsOf(receiver).find((one) => one.path === path && one.change === change),
          30_000,
        );

      renameSync(stage.root, `${stage.root}.old`);
      await until(async () => !(await ready()), 30_000);
      t.like(await get(`http://${watching.listen}/healthz`), { status: 200 });
      stage.write("/srv/file", "another\n");
      stage.write("/srv/new", "\n");

      t.is((await reported("/srv/file", "modified")).offline, undefined);
      await reported("/srv/new", "created");
      await reported("/srv/other", "deleted");
      await until(ready, 30_000);
      await until(() => typesOf(receiver).includes("fim.agent.recovered"), 30_000);

      const before = alertsOf(receiver).length;
      mkdirSync(`${stage.root}.old/srv/ghost`);
      stage.write("/srv/later", "\n");
      await reported("/srv/later", "created");
      stage.write("/srv/file", "once more\n");
      await until(() => alertsOf(receiver).length >= before + 2, 30_000);
      t.false(alertsOf(receiver).some(({ path }) => path.includes("ghost")));
      t.deepEqual(
        typesOf(receiver).filter((type) => /started|stopped/.test(type)),
        ["fim.agent.started"],
      );
      t.is(await watching.stop(), 0);
      rmSync(`${stage.root}.old`, { recursive: true });
    },
  );
