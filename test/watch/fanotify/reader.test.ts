import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { markDescriptor, openGroup, parseEvents } from "../../../src/linux/fanotify.ts";
import { close, listFlags, openPlain } from "../../../src/linux/files.ts";
import { EventReader } from "../../../src/watch/fanotify/reader.ts";
import { until } from "../../helpers/wait.ts";

const isPermitted = canOpen();
const whenPermitted = isPermitted ? test.serial : test.serial.skip;

function canOpen(): boolean {
  try {
    close(openGroup().fd);
    return spawnSync("python3", ["--version"]).status === 0;
  } catch {
    return false;
  }
}

const files = 500;
const rounds = 20;
const flood = `
import os, sys
for i in range(${rounds}):
  for name in range(${files}):
    os.chmod(f"{sys.argv[1]}/{name}", 0o600 + i % 2)
`;

/** How many events came, in how many reads, while a process made changes as fast as it could. */
async function readFlood(): Promise<{ events: number; reads: number }> {
  const dir = mkdtempSync(join(tmpdir(), "fim-reader-"));
  for (let name = 0; name < files; name += 1) writeFileSync(join(dir, String(name)), "");
  const group = openGroup();
  const dirFd = openPlain(-1, dir, listFlags);
  markDescriptor({ group, wanted: ["attrib"], target: "directory and entries" }, dirFd);
  close(dirFd);
  const seen = { events: 0, reads: 0 };
  const names = new Set<string>();
  const stopped = Promise.withResolvers<void>();
  const reader = new EventReader({
    groupFd: group.fd,
    isHurried: false,
    onEvents: (bytes) => {
      const { events } = parseEvents(bytes);
      seen.reads += 1;
      seen.events += events.length;
      for (const { entry } of events) if (entry) names.add(entry.name);
    },
    onFailed: (detail) => stopped.reject(new Error(detail)),
    onStopped: stopped.resolve,
  });
  const child = spawn("python3", ["-c", flood, dir], { stdio: "inherit" });
  await new Promise((resolve) => child.once("close", resolve));
  writeFileSync(join(dir, "last"), "");
  spawnSync("chmod", ["600", join(dir, "last")]);
  await until(() => names.has("last"));
  reader.stop();
  await stopped.promise;
  close(group.fd);
  rmSync(dir, { recursive: true });
  for (let name = 0; name < files; name += 1)
    if (!names.has(String(name))) throw new Error(`no event of ${name}`);
  return seen;
}

whenPermitted("what comes in a flood is read in gulps, and its last event too", async (t) => {
  const { events, reads } = await readFlood();
  t.true(events >= files);
  t.true(reads * 5 < events, `${events} events in ${reads} reads`);
});
