import test from "ava";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import type { Hint } from "../../../src/core/change/hint.ts";
import { openGroup } from "../../../src/linux/fanotify.ts";
import { close } from "../../../src/linux/files.ts";
import { fanotifyEngine } from "../../../src/watch/fanotify/engine.ts";
import { leadsTo } from "../../../src/watch/selftest.ts";
import { Collected, indexOf, temporaryDirectory } from "../stub.ts";

const whenPermitted = canOpen() ? test.serial : test.serial.skip;

function canOpen(): boolean {
  try {
    close(openGroup().fd);
    return true;
  } catch {
    return false;
  }
}

const isOverflow = (hint: Hint): boolean => hint.kind === "overflow";

/** fanotify(7): what a queue with a limit holds. */
const limit = Number(fs.readFileSync("/proc/sys/fs/fanotify/max_queued_events", "utf8"));

for (const { queue, overflows, title } of [
  { queue: "bounded", overflows: 1, title: "a queue with a limit says once that events were lost" },
  { queue: "unlimited", overflows: 0, title: "a queue without a limit loses nothing" },
] as const)
  whenPermitted(
    `when more happens than the kernel usually keeps, ${title}, and all is watched as before`,
    async (t) => {
      using directory = temporaryDirectory();
      const watched = join(directory.path, "watched");
      const count = limit + 1000;
      fs.mkdirSync(watched);
      for (let i = 0; i < count; i += 1) fs.writeFileSync(join(watched, `${i}`), "");
      const stop = new AbortController();
      const collected = new Collected();
      const engine = fanotifyEngine({ queue })({
        root: directory.path,
        index: indexOf("/watched"),
        directories: () => [],
        signal: stop.signal,
        now: Date.now,
        sink: collected.sink,
      });
      await engine.ready;
      const before = engine.watched();
      // This thread is the one that would read the events.
      for (let i = 0; i < count; i += 1) fs.chmodSync(join(watched, `${i}`), 0o600);
      // Made by another way than an event, so that only the marks that are set again can know of it.
      execFileSync("sh", ["-c", 'mkdir "$1/late"; : > "$1/late/file"', "sh", watched]);
      if (overflows > 0) t.true(await collected.has(isOverflow));
      else t.true(await collected.has((hint) => leadsTo(hint, "/watched/late/file")));
      fs.appendFileSync(join(watched, "late/file"), "x");
      fs.appendFileSync(join(watched, "0"), "x");
      for (const path of ["/watched/late/file", "/watched/0"])
        t.true(
          await collected.has(
            (hint) => hint.kind === "path" && hint.path === path && hint.step === "closed",
          ),
          path,
        );
      t.is(collected.hints.filter(isOverflow).length, overflows);
      const missing = Array.from({ length: count }, (_, i) => `/watched/${i}`);
      if (overflows === 0) {
        const seen = new Set(collected.hints.flatMap((hint) => ("path" in hint ? hint.path : [])));
        t.deepEqual(
          missing.filter((path) => !seen.has(path)),
          [],
        );
      }
      t.is(engine.watched(), before + 2);
      stop.abort();
      await engine.ended;
    },
  );
