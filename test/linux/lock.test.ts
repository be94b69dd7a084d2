import test from "ava";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { lockFile } from "../../src/linux/lock.ts";
import { makePlace } from "../helpers/tree.ts";
import { until, within } from "../helpers/wait.ts";

const code = new URL("../../src/linux/lock.ts", import.meta.url).href;

/** Another process that holds the lock until it is killed. */
async function holder(file: string): Promise<{ kill(): Promise<void> }> {
  const script = `import { lockFile } from ${JSON.stringify(code)};
    globalThis.lock = lockFile(${JSON.stringify(file)});
    console.log("held"); setInterval(() => {}, 1e6);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await within(once(child.stdout, "data"), 20_000, "another process takes the lock");
  return {
    kill: async () => {
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}

test("a lock is held by one, and free again when it is given back", (t) => {
  using place = makePlace();
  const file = place.at("lock");
  const first = lockFile(file);
  const error = t.throws(() => lockFile(file), { code: "STATE_BUSY" });
  t.regex(error?.message ?? "", /lock .*\/lock: held by another process/);
  first[Symbol.dispose]();
  t.notThrows(() => lockFile(file)[Symbol.dispose]());
  t.is(statSync(file).mode & 0o777, 0o600);
});

test("another process cannot have it, nor keep it after it was killed", async (t) => {
  using place = makePlace();
  const file = place.at("lock");
  const other = await holder(file);
  try {
    t.throws(() => lockFile(file), { code: "STATE_BUSY" });
  } finally {
    await other.kill();
  }
  using lock = await until(() => {
    try {
      return lockFile(file);
    } catch {
      return undefined;
    }
  });
  t.truthy(lock);
});

test("a file that a killed agent left behind is no obstacle, whatever it holds", (t) => {
  using place = makePlace();
  writeFileSync(place.at("lock"), "4711\n");
  using lock = lockFile(place.at("lock"));
  t.truthy(lock);
});

test("a lock that cannot be made is the operator's to mend, and a link in its place is not followed", (t) => {
  using place = makePlace();
  symlinkSync(place.at("elsewhere"), place.at("link"));
  mkdirSync(place.at("directory"));
  for (const [name, errno] of [
    ["link", "ELOOP"],
    ["directory", "EISDIR"],
    ["missing/lock", "ENOENT"],
  ] as const) {
    const error = t.throws(() => lockFile(place.at(name)), { code: "STATE_UNUSABLE" });
    t.true(error?.message.includes(errno), error?.message);
  }
  t.throws(() => statSync(place.at("elsewhere")), { code: "ENOENT" });
});
