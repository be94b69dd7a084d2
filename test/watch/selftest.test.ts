import test from "ava";
import { join } from "node:path";
import { writeFileSync } from "node:fs";
import type { EngineName, Hint } from "../../src/core/change/hint.ts";
import { watchCanary } from "../../src/watch/canary.ts";
import { startChokidar } from "../../src/watch/chokidar/engine.ts";
import type { Engine, EngineOptions, StartEngine } from "../../src/watch/engine.ts";
import { startEngine } from "../../src/watch/select.ts";
import type { SelectOptions } from "../../src/watch/select.ts";
import { Probe } from "../../src/watch/selftest.ts";
import { Collected, indexOf, temporaryDirectory } from "./stub.ts";

interface Place extends Disposable {
  readonly probe: Probe;
  readonly options: SelectOptions;
  readonly root: string;
  readonly stop: AbortController;
  readonly collected: Collected;
}

function place(more: Partial<SelectOptions> = {}): Place {
  const directory = temporaryDirectory();
  const stop = new AbortController();
  const collected = new Collected();
  const probe = new Probe({ directory: join(directory.path, "state/probe") });
  const options: SelectOptions = {
    root: directory.path,
    index: indexOf("/watched"),
    directories: () => [],
    signal: stop.signal,
    now: Date.now,
    sink: collected.sink,
    probe,
    ...more,
  };
  return {
    probe,
    options,
    root: directory.path,
    stop,
    collected,
    [Symbol.dispose]() {
      stop.abort();
      directory[Symbol.dispose]();
    },
  };
}

/** Wraps the real engine and loses the hints it is reported to lose. */
const losing =
  (isLost: (hint: Hint) => boolean) =>
  (options: EngineOptions): Engine =>
    startChokidar({
      ...options,
      sink: (hint) => {
        if (!isLost(hint)) options.sink(hint);
      },
    });

const isFor = (name: string) => (hint: Hint) => "path" in hint && hint.path.endsWith(name);

test("an engine that reports everything proves itself, and its probe's hints go no further", async (t) => {
  using here = place();
  const { engine, failures } = await startEngine(
    "chokidar",
    { chokidar: startChokidar },
    here.options,
  );
  t.deepEqual(failures, []);
  t.is(engine?.name, "chokidar");
  const { collected } = here;
  writeFileSync(join(here.root, "watched"), "x");
  t.true(await collected.has(isFor("/watched")));
  t.false(collected.hints.some((hint) => "path" in hint && hint.path.startsWith("/state/probe")));
  here.stop.abort();
  await engine?.ended;
});

for (const [step, name] of [
  ["create", "/created"],
  ["write", "/written"],
  ["chmod", "/mode"],
  ["rename", "/new"],
  ["rename", "/old"],
  ["delete", "/gone"],
] as const) {
  test(`an engine that loses the hint for ${name} of the probe is not trusted`, async (t) => {
    using here = place({ proofWithin: 3000 });
    const factories = { chokidar: losing(isFor(name)) };
    const { engine, failures } = await startEngine("chokidar", factories, here.options);
    t.is(engine, undefined);
    t.deepEqual(failures, [{ engine: "chokidar", reason: `self-test: no hint for: ${step}` }]);
  });
}

const exhausted: StartEngine = (options) => {
  const engine = losing(() => true)(options);
  const at = options.now();
  for (const path of ["/a", "/b"])
    options.sink({ kind: "unwatched", engine: "chokidar", at, path, detail: "ENOSPC" });
  return engine;
};

test("an engine that fails the self-test says which limit kept it from watching", async (t) => {
  using here = place({ proofWithin: 20 });
  const { failures } = await startEngine("chokidar", { chokidar: exhausted }, here.options);
  const steps = "create, write, chmod, rename, delete, directory and a file inside";
  t.deepEqual(failures, [
    {
      engine: "chokidar",
      reason: `self-test: no hint for: ${steps} (not every directory is watched: ENOSPC)`,
    },
  ]);
});

test("an engine that loses new trees is not trusted", async (t) => {
  using here = place({ proofWithin: 3000 });
  const factories = { chokidar: losing((hint) => hint.kind === "tree" || isFor("inside")(hint)) };
  const { failures } = await startEngine("chokidar", factories, here.options);
  t.deepEqual(failures, [
    { engine: "chokidar", reason: "self-test: no hint for: directory and a file inside" },
  ]);
});

const refusing: StartEngine = () => {
  throw new Error("fanotify_init: EPERM");
};

test("an engine that cannot start is replaced by the next, and that is reported", async (t) => {
  using here = place();
  const factories = { fanotify: refusing, chokidar: startChokidar };
  const { engine, failures } = await startEngine("auto", factories, here.options);
  t.is(engine?.name, "chokidar");
  t.deepEqual(failures, [{ engine: "fanotify", reason: "fanotify_init: EPERM" }]);
});

test("an engine that never gets ready is stopped and replaced", async (t) => {
  using here = place({ readyWithin: 20 });
  const stopped: EngineName[] = [];
  const hanging: StartEngine = ({ signal }) => {
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => {
      stopped.push("fanotify");
      end();
    });
    return {
      name: "fanotify",
      ready: new Promise(() => undefined),
      ended,
      add: () => undefined,
      watched: () => 0,
      blind: [],
    };
  };
  const { engine, failures } = await startEngine("fanotify", { fanotify: hanging }, here.options);
  t.is(engine, undefined);
  t.deepEqual(failures, [{ engine: "fanotify", reason: "was not ready within 20 ms" }]);
  t.deepEqual(stopped, ["fanotify"]);
});

test("with the preference sweep no engine is started", async (t) => {
  using here = place();
  t.deepEqual(
    await startEngine("sweep", { fanotify: refusing, chokidar: refusing }, here.options),
    {
      failures: [],
    },
  );
});

test("an engine that falls silent while running fails by its canary, and its hints end", async (t) => {
  let isSilent = false;
  using here = place({ canaryEvery: 10, canaryWithin: 200 });
  const factories = { chokidar: losing(() => isSilent) };
  const { engine } = await startEngine("chokidar", factories, here.options);
  isSilent = true;
  await engine?.ended;
  t.like(here.collected.hints.at(-1), {
    kind: "failed",
    engine: "chokidar",
    detail: "canary: a write was not reported within 200 ms",
  });
});

test("a canary that cannot be written is a miss with its reason", async (t) => {
  using here = place();
  const { signal } = here.options;
  const detail = await watchCanary({ probe: here.probe, every: 1, deadline: 10, signal });
  t.regex(detail ?? "", /^canary: ENOENT/);
});

test("a canary that is stopped has nothing to say", async (t) => {
  using here = place();
  const { signal } = here.options;
  const watched = watchCanary({ probe: here.probe, every: 1_000_000, deadline: 10, signal });
  here.stop.abort();
  t.is(await watched, undefined);
});

/** Says of itself that it cannot watch a directory, and ends by itself when it is reported to. */
function ending(end: Promise<void>): StartEngine {
  return (options) => {
    const engine = startChokidar(options);
    options.sink({
      kind: "unwatched",
      engine: "chokidar",
      at: 1,
      path: `${options.within}/a`,
      detail: "ENOSPC",
    });
    return { ...engine, ended: end };
  };
}

test("what an engine says of itself arrives once it has proved itself", async (t) => {
  using here = place();
  const { promise } = Promise.withResolvers<void>();
  await startEngine(
    "chokidar",
    { chokidar: losing(() => true) },
    { ...here.options, proofWithin: 20 },
  );
  t.deepEqual(here.collected.hints, []);
  await startEngine("chokidar", { chokidar: ending(promise) }, here.options);
  t.like(here.collected.hints[0], { kind: "unwatched", path: "/a" });
});

test("an engine that ends by itself is stopped with its canary", async (t) => {
  using here = place({ canaryEvery: 1, canaryWithin: 50 });
  const { promise, resolve } = Promise.withResolvers<void>();
  let signal: AbortSignal | undefined;
  const start: StartEngine = (options) => {
    signal = options.signal;
    return ending(promise)(options);
  };
  const { engine } = await startEngine("chokidar", { chokidar: start }, here.options);
  t.false(signal?.aborted);
  resolve();
  await engine?.ended;
  t.true(signal?.aborted);
});
