import test from "ava";
import { chmodSync } from "node:fs";
import { Engines } from "../../src/agent/engines.ts";
import { makeContext } from "../helpers/context.ts";
import type { TestContext } from "../helpers/context.ts";
import { fanotifyMissing } from "../helpers/processes.ts";
import { needing } from "../helpers/needs.ts";
import { until } from "../helpers/wait.ts";

const files = { "/etc/a": "as it was\n", "/etc/sub/c": "as it was\n" };

async function start(engine: "fanotify" | "chokidar" | "sweep") {
  await using stack = new AsyncDisposableStack();
  const bench: TestContext = stack.use(await makeContext({ files }));
  const context = { ...bench.context, settings: { ...bench.settings, engine } };
  const engines = stack.use(new Engines(context, () => undefined));
  await engines.start();
  const owned = stack.move();
  return {
    ...bench,
    engines,
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  };
}

for (const engine of ["fanotify", "chokidar"] as const)
  needing(engine === "fanotify" ? fanotifyMissing : undefined, "serial")(
    `${engine} proves itself, and leads to a change without a sweep`,
    async (t) => {
      await using node = await start(engine);
      t.is(node.engines.name, engine);
      t.deepEqual(
        node.context.health.degraded().filter((why) => why.startsWith("engine")),
        [],
      );
      chmodSync(node.at("/etc/sub/c"), 0o600);
      for await (const { paths } of node.context.coalescer)
        if (paths.some(({ path }) => path === "/etc/sub/c")) break;
      t.is(node.engines.isWhole, engine === "fanotify");
      t.is(node.engines.attribution === "none", engine === "chokidar");
    },
  );

test.serial("without an engine the agent says that sweeps do its work", async (t) => {
  await using node = await start("sweep");
  t.is(node.engines.name, "sweep");
  t.false(node.engines.isWhole);
  t.is(node.engines.attribution, "none");
});

test.serial(
  "an engine that was asked for and cannot be had is a trouble, and another one takes over",
  async (t) => {
    const usual = process.env["CHOKIDAR_USEPOLLING"];
    process.env["CHOKIDAR_USEPOLLING"] = "1";
    try {
      await using node = await start("chokidar");
      t.is(node.engines.name, "sweep");
      await until(() => node.context.health.degraded().length > 0);
      t.regex(node.context.health.degraded().join(), /engine chokidar: .*CHOKIDAR_USEPOLLING/);
    } finally {
      if (usual === undefined) delete process.env["CHOKIDAR_USEPOLLING"];
      else process.env["CHOKIDAR_USEPOLLING"] = usual;
    }
  },
);
