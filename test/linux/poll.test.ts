import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { Waiter } from "../../src/linux/poll.ts";
import { temporaryDirectory } from "../watch/stub.ts";

const outcomeOf = (waiter: Waiter) => new Promise((resolve) => waiter.wait(resolve));

test("what can be read is reported, once for each wait", async (t) => {
  using directory = temporaryDirectory();
  const path = join(directory.path, "pipe");
  execFileSync("mkfifo", [path]);
  const fd = openSync(path, "r+");
  using waiter = new Waiter(fd, "readable");
  const first = outcomeOf(waiter);
  writeSync(fd, "x");
  t.is(await first, "event");
  t.is(await outcomeOf(waiter), "event");
  closeSync(fd);
});

test("a wake ends the wait, and the next one, though nothing happened", async (t) => {
  const fd = openSync("/proc/self/mountinfo", "r");
  using waiter = new Waiter(fd, "changed");
  const first = outcomeOf(waiter);
  waiter.wake();
  t.is(await first, "woken");
  t.is(await outcomeOf(waiter), "woken");
  closeSync(fd);
});

test("disposed of while it waits, it calls back and lets go", async (t) => {
  const fd = openSync("/proc/self/mountinfo", "r");
  const waiter = new Waiter(fd, "changed");
  const first = outcomeOf(waiter);
  waiter[Symbol.dispose]();
  t.is(await first, "woken");
  waiter[Symbol.dispose]();
  closeSync(fd);
});

test("a process that exits while it waits does so at once", (t) => {
  const url = new URL("../../src/linux/poll.ts", import.meta.url).href;
  const code = `import { openSync } from "node:fs";
    const { Waiter } = await import(${JSON.stringify(url)});
    new Waiter(openSync("/proc/self/mountinfo", "r"), "changed").wait(() => undefined);
    setImmediate(() => process.exit(7));`;
  const args = ["--input-type=module", "-e", code];
  t.is(spawnSync(process.execPath, args, { timeout: 30_000 }).status, 7);
});
