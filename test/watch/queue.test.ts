import test from "ava";
import type { Hint } from "../../src/core/change/hint.ts";
import { HintQueue } from "../../src/watch/queue.ts";
import { readAll } from "./stub.ts";

const at = (path: string): Hint => ({
  kind: "path",
  engine: "chokidar",
  at: 1,
  path,
  step: "changed",
});

async function drain(queue: HintQueue): Promise<Hint[]> {
  queue.end();
  return readAll(queue);
}

test("hints are read in the order in which they came", async (t) => {
  const queue = new HintQueue("chokidar");
  const paths = Array.from({ length: 5000 }, (_, count) => `/${count}`);
  for (const path of paths) queue.push(at(path));
  t.deepEqual(await drain(queue), paths.map(at));
});

test("a reader that waits is woken by the next hint", async (t) => {
  const queue = new HintQueue("chokidar");
  const reader = queue[Symbol.asyncIterator]();
  const next = reader.next();
  queue.push(at("/a"));
  t.deepEqual(await next, { done: false, value: at("/a") });
  const last = reader.next();
  queue.end();
  t.true((await last).done);
});

test("past its limit the queue says overflow once and does not grow", async (t) => {
  const queue = new HintQueue("fanotify", 10);
  for (let count = 0; count < 1000; count += 1) queue.push(at(`/${count}`));
  t.is(queue.size, 1);
  t.deepEqual(await drain(queue), [
    { kind: "overflow", engine: "fanotify", at: 1, detail: "more than 10 hints waited to be read" },
  ]);
});

test("what is not a path outlives an overflow", async (t) => {
  const queue = new HintQueue("chokidar", 10);
  const unwatched: Hint = {
    kind: "unwatched",
    engine: "chokidar",
    at: 1,
    path: "/a",
    detail: "ENOSPC",
  };
  queue.push(unwatched);
  for (let count = 0; count < 100; count += 1) queue.push(at(`/${count}`));
  const read = await drain(queue);
  t.deepEqual(
    read.map(({ kind }) => kind),
    ["overflow", "unwatched"],
  );
});

test("after the overflow has been read, paths count again", async (t) => {
  const queue = new HintQueue("chokidar", 2);
  for (const path of ["/a", "/b", "/c"]) queue.push(at(path));
  const reader = queue[Symbol.asyncIterator]();
  t.is((await reader.next()).value?.kind, "overflow");
  queue.push(at("/d"));
  t.deepEqual((await reader.next()).value, at("/d"));
});

test("nothing is read after a failure", async (t) => {
  const queue = new HintQueue("chokidar");
  queue.push({ kind: "failed", engine: "chokidar", at: 1, detail: "gone" });
  queue.push(at("/a"));
  const read = await readAll(queue);
  t.deepEqual(
    read.map(({ kind }) => kind),
    ["failed"],
  );
});
