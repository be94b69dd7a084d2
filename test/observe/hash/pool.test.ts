import { execFileSync } from "node:child_process";
import {
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import test from "ava";
import { rowOf } from "../../../src/core/change/observation.ts";
import type { Item, Result } from "../../../src/observe/hash/job.ts";
import { Observer } from "../../../src/observe/observer.ts";
import { HashPool } from "../../../src/observe/hash/pool.ts";
import { openDescriptors, Scratch } from "../scratch.ts";

const hashed = { hash: true } as const;
const mebibyte = 1024 * 1024;
const pathFlag = 0o10000000; // O_PATH

function itemsOf(count: number): Item[] {
  return Array.from({ length: count }, (_, at) => ({ path: `/file-${at}`, want: hashed }));
}

function fill(scratch: Scratch, count: number): Item[] {
  const items = itemsOf(count);
  for (const { path } of items) writeFileSync(scratch.at(path.slice(1)), `content of ${path}`);
  return items;
}

async function observeAll(pool: HashPool, items: Iterable<Item>): Promise<Map<string, Result>> {
  const results = new Map<string, Result>();
  await pool.observeAll(items, (batch) => {
    for (const result of batch) results.set(result.path, result);
  });
  return results;
}

function diskFull(): never {
  throw new Error("disk full");
}

async function until(isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!isTrue()) {
    if (performance.now() > deadline) throw new Error("the condition did not come true in 20 s");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test.serial("every item comes back once, with the row that an observer sees", async (t) => {
  using scratch = new Scratch();
  const items = fill(scratch, 500);
  items.push({ path: "/none", want: hashed });
  using pool = new HashPool({ root: scratch.path, workers: 2 });
  let count = 0;
  const results = new Map<string, Result>();
  await pool.observeAll(items, (batch) => {
    count += batch.length;
    for (const result of batch) results.set(result.path, result);
  });
  t.is(count, items.length);
  using observer = new Observer(scratch.path);
  for (const { path, want } of items) {
    const seen = observer.observe(path, want);
    t.is(results.get(path)?.row, seen && rowOf(seen));
  }
});

test.serial("large files are observed too, with what was wanted of them", async (t) => {
  using scratch = new Scratch();
  const items = fill(scratch, 100);
  for (let at = 0; at < 5; at += 1)
    writeFileSync(scratch.at(`file-${at * 20}`), Buffer.alloc((at + 2) * mebibyte, at));
  const path = "/file-80";
  items.push(
    { path: "/file-0", want: { hash: true, maxBytes: mebibyte } },
    { path: "/file-20", want: { hash: false, prefix: 2 * mebibyte } },
    { path: "/file-40", want: { hash: false } },
  );
  using pool = new HashPool({ root: scratch.path, workers: 2 });
  const results: Result[] = [];
  await pool.observeAll(items, (batch) => results.push(...batch));
  t.is(results.length, items.length);
  const hashes = results.filter(({ row }) => row?.includes('"sha256"'));
  t.is(hashes.length, 100);
  t.is(results.find(({ prefix }) => prefix !== undefined)?.prefix?.size, 2 * mebibyte);
  using observer = new Observer(scratch.path);
  const seen = observer.observe(path, hashed);
  t.is(results.find((result) => result.path === path)?.row, seen && rowOf(seen));
});

test.serial("items are taken only as fast as they are observed", async (t) => {
  using scratch = new Scratch();
  const items = fill(scratch, 2000);
  using pool = new HashPool({ root: scratch.path, workers: 2 });
  let taken = 0;
  let done = 0;
  let most = 0;
  function* counted(): Generator<Item> {
    for (const item of items) {
      taken += 1;
      yield item;
      most = Math.max(most, taken - done);
    }
  }
  await pool.observeAll(counted(), (batch) => (done += batch.length));
  t.is(done, items.length);
  t.true(most <= 5 * 64, `${most} items were in flight`);
});

test.serial("one path is observed as an observer does, its prefix included", async (t) => {
  using scratch = new Scratch();
  fill(scratch, 1);
  using pool = new HashPool({ root: scratch.path, workers: 1 });
  using observer = new Observer(scratch.path);
  const want = { hash: true, prefix: 3 };
  t.deepEqual(await pool.observeOne("/file-0", want), observer.observe("/file-0", want));
  t.is(await pool.observeOne("/none", want), undefined);
});

test.serial("one path does not wait for a sweep with a budget", async (t) => {
  using scratch = new Scratch();
  fill(scratch, 1);
  writeFileSync(scratch.at("large"), Buffer.alloc(4 * mebibyte));
  using pool = new HashPool({ root: scratch.path, workers: 2 });
  const options = { bytesPerSecond: 1 }; // The sweep cannot end within this test.
  const sweep = pool.observeAll([{ path: "/large", want: hashed }], () => {}, options);
  const ended = t.throwsAsync(sweep, { message: /closed/ });
  t.is((await pool.observeOne("/file-0", hashed))?.type, "file");
  pool[Symbol.dispose]();
  await ended;
});

const tebibyte = 1024 ** 4;

/** Nothing would be read of it for hours that is not a zero. */
function makeHuge(scratch: Scratch): string {
  writeFileSync(scratch.at("huge"), "");
  truncateSync(scratch.at("huge"), tebibyte);
  return scratch.at("huge");
}

async function untilOpen(file: string): Promise<void> {
  await until(() => isOpen(file));
}

/** This process holds it open for reading: its inode is not only looked at. */
function isOpen(file: string): boolean {
  return readdirSync("/proc/self/fd").some((fd) => {
    try {
      if (!readlinkSync(`/proc/self/fd/${fd}`).startsWith(file)) return false;
      const flags = /flags:\s*(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1];
      return (Number.parseInt(flags ?? "0", 8) & pathFlag) === 0;
    } catch {
      return false; // It was closed meanwhile.
    }
  });
}

test.serial("closing the pool ends the reading of a huge file at once", async (t) => {
  using scratch = new Scratch();
  const file = makeHuge(scratch);
  const pool = new HashPool({ root: scratch.path, workers: 1 });
  const failed = t.throwsAsync(pool.observeOne("/huge", hashed), { code: "ENGINE_FAILED" });
  await untilOpen(file);
  const asked = performance.now();
  t.false(pool.isClosed);
  pool[Symbol.dispose]();
  t.true(pool.isClosed);
  await failed;
  await until(() => !isOpen(file));
  t.true(performance.now() - asked < 2000);
});

test.serial("a huge file that is deleted while it is read is not there any more", async (t) => {
  using scratch = new Scratch();
  const file = makeHuge(scratch);
  using pool = new HashPool({ root: scratch.path, workers: 1 });
  const seen = pool.observeOne("/huge", hashed);
  await untilOpen(file);
  rmSync(file);
  t.is(await seen, undefined);
});

test.serial("of a huge file that is cut while it is read, what is left is seen", async (t) => {
  using scratch = new Scratch();
  const file = makeHuge(scratch);
  using pool = new HashPool({ root: scratch.path, workers: 1 });
  const seen = pool.observeOne("/huge", hashed);
  await untilOpen(file);
  truncateSync(file, 10);
  using observer = new Observer(scratch.path);
  t.deepEqual(await seen, observer.observe("/huge", hashed));
});

test.serial("a file that grows beyond what was asked for is not read to its end", async (t) => {
  using scratch = new Scratch();
  const file = scratch.at("growing");
  writeFileSync(file, "");
  truncateSync(file, 512 * mebibyte);
  using pool = new HashPool({ root: scratch.path, workers: 1 });
  const seen = pool.observeOne("/growing", { hash: true, maxBytes: 512 * mebibyte });
  await untilOpen(file);
  truncateSync(file, 512 * mebibyte + 1);
  const { size, sha256 } = (await seen) ?? {};
  t.is(size, 512 * mebibyte + 1);
  t.is(sha256, undefined);
});

test.serial("a budget is kept", async (t) => {
  using scratch = new Scratch();
  writeFileSync(scratch.at("large"), Buffer.alloc(2 * mebibyte));
  using pool = new HashPool({ root: scratch.path, workers: 2 });
  await pool.observeOne("/large", hashed); // The worker has started.
  const started = performance.now();
  const items = [{ path: "/large", want: hashed }];
  await pool.observeAll(items, () => {}, { bytesPerSecond: 10 * mebibyte });
  t.true(performance.now() - started >= 190, "two of ten MiB a second take a fifth of a second");
});

test.serial("progress counts files and bytes", async (t) => {
  using scratch = new Scratch();
  writeFileSync(scratch.at("file-0"), Buffer.alloc(1000));
  writeFileSync(scratch.at("file-1"), Buffer.alloc(2 * mebibyte));
  using pool = new HashPool({ root: scratch.path, workers: 2 });
  const seen: object[] = [];
  await pool.observeAll(itemsOf(2), () => {}, { onProgress: (progress) => seen.push(progress) });
  t.deepEqual(seen.at(-1), { files: 2, bytes: 1000 + 2 * mebibyte });
});

test.serial("nothing to observe is done at once, without a thread", async (t) => {
  using pool = new HashPool({ root: "/", workers: 2 });
  const before = openDescriptors();
  t.is((await observeAll(pool, [])).size, 0);
  // Threads of an earlier test may still be giving theirs back.
  t.true(openDescriptors() <= before);
});

test.serial("two sweeps at the same time both come to their end", async (t) => {
  using scratch = new Scratch();
  const items = fill(scratch, 300);
  using pool = new HashPool({ root: scratch.path, workers: 2 });
  const both = await Promise.all([observeAll(pool, items), observeAll(pool, items)]);
  t.deepEqual(
    both.map(({ size }) => size),
    [300, 300],
  );
});

test.serial("a root that is not there is an error with its code", async (t) => {
  using scratch = new Scratch();
  using pool = new HashPool({ root: scratch.at("none"), workers: 1 });
  const expected = { code: "SYSCALL", message: `open ${scratch.at("none")}: ENOENT` };
  await t.throwsAsync(pool.observeOne("/x", hashed), expected);
  await t.throwsAsync(observeAll(pool, itemsOf(1)), expected);
});

test.serial("an error of the one who asked ends the sweep and closes the iterable", async (t) => {
  using scratch = new Scratch();
  const items = fill(scratch, 1000);
  using pool = new HashPool({ root: scratch.path, workers: 2 });
  let isClosed = false;
  function* closing(): Generator<Item> {
    try {
      yield* items;
    } finally {
      isClosed = true;
    }
  }
  await t.throwsAsync(pool.observeAll(closing(), diskFull), { message: "disk full" });
  t.true(isClosed);
  function* broken(): Generator<Item> {
    yield* items;
    throw new Error("broken walk");
  }
  await t.throwsAsync(
    pool.observeAll(broken(), () => {}),
    { message: "broken walk" },
  );
  t.is((await observeAll(pool, items)).size, 1000);
});

test.serial("a sweep ends with the reason of its signal", async (t) => {
  using scratch = new Scratch();
  const items = fill(scratch, 1000);
  using pool = new HashPool({ root: scratch.path, workers: 2 });
  const stop = new AbortController();
  const abort = (): void => stop.abort(new Error("enough"));
  const options = { signal: stop.signal };
  await t.throwsAsync(pool.observeAll(items, abort, options), { message: "enough" });
  await t.throwsAsync(pool.observeAll(items, abort, options), { message: "enough" });
});

test.serial(
  "threads without work end and give their descriptors back, others start with new work",
  async (t) => {
    using scratch = new Scratch();
    const items = fill(scratch, 500);
    using pool = new HashPool({ root: scratch.path, workers: 2, idleAfter: 0 });
    const before = openDescriptors();
    for (const _ of [1, 2, 3]) {
      t.is((await observeAll(pool, items)).size, items.length);
      await until(() => openDescriptors() <= before);
    }
  },
);

test.serial("a closed pool has given back every descriptor, though it was reading", async (t) => {
  using scratch = new Scratch();
  writeFileSync(scratch.at("large"), Buffer.alloc(8 * mebibyte));
  const before = openDescriptors();
  for (let round = 0; round < 3; round += 1) {
    const pool = new HashPool({ root: scratch.path, workers: 2 });
    await pool.observeOne("/large", { hash: false });
    const sweep = pool.observeAll([{ path: "/large", want: hashed }], () => {}, {
      bytesPerSecond: 1,
    });
    const ended = t.throwsAsync(sweep, { code: "ENGINE_FAILED" });
    pool[Symbol.dispose]();
    await ended;
    await t.throwsAsync(pool.observeOne("/large", hashed), { code: "ENGINE_FAILED" });
    await t.throwsAsync(observeAll(pool, []), { code: "ENGINE_FAILED" });
  }
  await until(() => openDescriptors() <= before);
  t.true(openDescriptors() <= before);
});

test.serial("a process whose pool is closed does not end before the pool's threads have", (t) => {
  using scratch = new Scratch();
  writeFileSync(scratch.at("huge"), "");
  truncateSync(scratch.at("huge"), 1024 ** 4);
  const code = [
    'import { readdirSync, readFileSync } from "node:fs";',
    `import { HashPool } from ${JSON.stringify(join(import.meta.dirname, "../../../src/observe/hash/pool.ts"))};`,
    'const nameOf = (id) => readFileSync(`/proc/self/task/${id}/comm`, "utf8").trim();',
    'const threads = () => readdirSync("/proc/self/task").map(nameOf).filter((name) => name === "WorkerThread").length;',
    `const pool = new HashPool({ root: ${JSON.stringify(scratch.path)}, workers: 2 });`,
    'const read = pool.observeOne("/huge", { hash: true }).catch(() => undefined);',
    'await pool.observeOne("/huge", { hash: false });',
    "const during = threads();",
    "pool[Symbol.dispose]();",
    "await read;",
    'process.on("exit", () => console.log(JSON.stringify([during, threads()])));',
  ].join("\n");
  const program = scratch.at("program.mjs");
  writeFileSync(program, code);
  const text = execFileSync(process.execPath, [program], { encoding: "utf8" });
  const [during, after] = JSON.parse(text) as readonly [number, number];
  t.true(during >= 2, `${during} threads were reading`);
  t.is(after, 0, `${after} threads were left`);
});
