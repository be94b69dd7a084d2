import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import type { Hint } from "../../../src/core/change/hint.ts";
import { startChokidar } from "../../../src/watch/chokidar/engine.ts";
import type { Engine } from "../../../src/watch/engine.ts";
import { engineContract } from "../contract.ts";
import { Collected, indexOf, temporaryDirectory } from "../stub.ts";

engineContract(test, "chokidar", startChokidar);

const isInside = (hint: Hint) => hint.kind === "path" && hint.path === "/watched/a/inside";

interface Started extends AsyncDisposable {
  readonly root: string;
  readonly engine: Engine;
  readonly collected: Collected;
}

async function started(populate: (root: string) => void): Promise<Started> {
  const directory = temporaryDirectory();
  populate(directory.path);
  const stop = new AbortController();
  const collected = new Collected();
  const engine = startChokidar({
    root: directory.path,
    index: indexOf("/watched"),
    directories: () => [],
    signal: stop.signal,
    now: Date.now,
    sink: collected.sink,
  });
  const running: Started = {
    root: directory.path,
    engine,
    collected,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await engine.ended;
      directory[Symbol.dispose]();
    },
  };
  try {
    await engine.ready;
    return running;
  } catch (error) {
    await running[Symbol.asyncDispose]();
    throw error;
  }
}

test.serial(
  "a watch is held for each directory that a rule leads to, and for nothing else",
  async (t) => {
    await using running = await started((root) => {
      mkdirSync(join(root, "watched/a/b"), { recursive: true });
      mkdirSync(join(root, "unneeded/a/b"), { recursive: true });
      for (let count = 0; count < 50; count += 1)
        writeFileSync(join(root, `watched/a/${count}`), "");
    });
    // The root, /watched, /watched/a and /watched/a/b.
    t.is(running.engine.watched(), 4);
  },
);

test.serial("an attribute of a directory is not taken for its creation", async (t) => {
  await using running = await started((root) =>
    mkdirSync(join(root, "watched/a"), { recursive: true }),
  );
  chmodSync(join(running.root, "watched/a"), 0o700);
  writeFileSync(join(running.root, "watched/last"), "");
  t.true(
    await running.collected.has((hint) => hint.kind === "path" && hint.path === "/watched/last"),
  );
  const steps = running.collected.hints
    .filter((hint) => hint.kind === "path")
    .filter(({ path }) => path.startsWith("/watched/a"))
    .map(({ path, step }) => `${path} ${step}`);
  t.true(steps.includes("/watched/a changed"));
  t.deepEqual(new Set(steps.map((one) => one.split(" ")[1])), new Set(["changed"]));
});

test.serial(
  "a directory that became a file and then a directory again is watched again",
  async (t) => {
    await using running = await started((root) =>
      mkdirSync(join(root, "watched/a/b"), { recursive: true }),
    );
    const { collected, root } = running;
    const path = join(root, "watched/a");
    rmSync(path, { recursive: true });
    writeFileSync(path, "x");
    t.true(
      await collected.has(
        (hint) => "step" in hint && hint.path === "/watched/a" && hint.step === "created",
      ),
    );
    rmSync(path);
    mkdirSync(path);
    t.true(await collected.has((hint) => hint.kind === "tree" && hint.path === "/watched/a"));
    let isSeen = false;
    for (let attempt = 0; attempt < 100 && !isSeen; attempt += 1) {
      writeFileSync(join(path, "inside"), String(attempt));
      isSeen = await collected.has(isInside, 50);
    }
    t.true(isSeen);
  },
);

test.serial(
  "polling forced by the environment is refused, because it would miss most changes",
  async (t) => {
    process.env["CHOKIDAR_USEPOLLING"] = "1";
    try {
      await t.throwsAsync(
        started(() => undefined),
        { code: "ENGINE_FAILED", message: /polling found/ },
      );
    } finally {
      delete process.env["CHOKIDAR_USEPOLLING"];
    }
  },
);

/** The watch limit of a user namespace of its own: the machine's stays as it is. */
function underLimit(limit: number, script: string): string {
  const command = `echo ${limit} > /proc/sys/user/max_inotify_watches && exec "$0" --input-type=module -e "$1"`;
  return execFileSync("unshare", ["-U", "-r", "sh", "-c", command, process.execPath, script], {
    encoding: "utf8",
  });
}

function canLimit(): boolean {
  try {
    return underLimit(5, "console.log('limited')").startsWith("limited");
  } catch {
    return false;
  }
}

const limited = canLimit() ? test.serial : test.serial.skip;
const url = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);

const limitedScript = (root: string) => `
  const { startChokidar } = await import(${url("../../../src/watch/chokidar/engine.ts")});
  const { indexOf } = await import(${url("../stub.ts")});
  const stop = new AbortController();
  const hints = [];
  const engine = startChokidar({ root: ${JSON.stringify(root)}, index: indexOf("/watched"),
    directories: () => [], signal: stop.signal, now: Date.now, sink: (hint) => hints.push(hint) });
  let error;
  try { await engine.ready } catch (caught) { error = caught.code }
  const watched = engine.watched();
  stop.abort();
  await engine.ended;
  console.log(JSON.stringify({ error, watched, hints }));`;

interface LimitedResult {
  readonly error?: string;
  readonly watched: number;
  readonly hints: readonly Hint[];
}

limited(
  "directories beyond the kernel's watch limit are named, each once (needs user namespaces)",
  (t) => {
    using directory = temporaryDirectory();
    for (let count = 0; count < 10; count += 1) {
      mkdirSync(join(directory.path, `watched/${count}`), { recursive: true });
    }
    const text = underLimit(5, limitedScript(directory.path));
    const { watched, hints } = JSON.parse(text) as LimitedResult;
    const unwatched = hints.filter((hint) => hint.kind === "unwatched");
    t.is(watched, 5);
    t.is(unwatched.length, 7);
    t.is(new Set(unwatched.map(({ path }) => path)).size, 7);
    t.true(
      unwatched.every(({ detail, path }) => detail === "ENOSPC" && path.startsWith("/watched/")),
    );
  },
);

limited("an engine that can set no watch at all is not ready (needs user namespaces)", (t) => {
  using directory = temporaryDirectory();
  mkdirSync(join(directory.path, "watched"));
  const { error } = JSON.parse(underLimit(0, limitedScript(directory.path))) as LimitedResult;
  t.is(error, "ENGINE_FAILED");
});
