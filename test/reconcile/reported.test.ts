import test from "ava";
import { chmodSync, renameSync, utimesSync } from "node:fs";
import type { Actor } from "../../src/core/change/hint.ts";
import { reconcile } from "../../src/reconcile/reconcile.ts";
import { tmpfs } from "../helpers/judged.ts";
import { inShort, makeBench, now } from "./bench.ts";
import type { Bench } from "./bench.ts";

const sh: Actor = { pid: 42, exe: "/bin/sh" };

/** A file whose inode was touched, and that is as it was. */
function touchedFile(bench: Bench, path: string): void {
  bench.write(path, "content");
  bench.learn();
  renameSync(bench.at(path), bench.at(`${path}-away`));
  renameSync(bench.at(`${path}-away`), bench.at(path));
}

test("a change by other names of the file says each of them", async (t) => {
  using bench = makeBench();
  bench.write("/w/a", "old");
  bench.learn();
  bench.write("/w/a", "new");
  const through = ["/srv/one", "/srv/two\ufffd"];
  const [reported] = await bench.look([{ path: "/w/a", steps: ["closed"], through }]);
  t.deepEqual(
    reported?.meaning,
    through.map((name) => `changed through its other name ${name}`),
  );
});

test("a mount has its own time and engine, and no process that wrote to the path made it", async (t) => {
  using bench = makeBench();
  bench.write("/w/a", "old");
  bench.learn();
  bench.write("/w/a", "new");
  const mount = { ...tmpfs, path: "/w/a" };
  const changes = await reconcile(
    {
      paths: [
        { path: "/w/a", steps: ["closed"], from: [], actors: [sh], lastAt: 5, engine: "fanotify" },
      ],
      mounts: [{ kind: "mounted", engine: "mounts", at: 9, mount }],
      offline: false,
    },
    { view: bench.view, commit: () => undefined, now: () => now },
  );
  t.deepEqual(inShort(changes), ["modified /w/a content", "mounted /w/a"]);
  const mounted = changes.find(({ change }) => change.kind === "mounted");
  const modified = changes.find(({ change }) => change.kind === "modified");
  t.deepEqual([mounted?.at, mounted?.engine, mounted?.actor], [9, "mounts", undefined]);
  t.deepEqual([modified?.at, modified?.engine, modified?.actor], [5, "fanotify", sh]);
});

test("a name that was away and is back is reported, for nothing else reports it", async (t) => {
  using bench = makeBench();
  touchedFile(bench, "/w/a");
  const changes = await bench.look([
    { path: "/w/a", steps: ["renamed"], from: ["/w/a-away"] },
    { path: "/w/a-away", steps: ["renamed"], from: ["/w/a"] },
  ]);
  t.deepEqual(inShort(changes), ["transient /w/a renamed"]);
});

test("names on the way to one that is reported are not reported again", async (t) => {
  using bench = makeBench();
  bench.write("/w/other", "known");
  bench.learn();
  bench.write("/w/a", "new");
  const changes = await bench.look([
    { path: "/w/.1", steps: ["created", "modified", "renamed"] },
    { path: "/w/.2", steps: ["renamed"], from: ["/w/.1"] },
    { path: "/w/a", steps: ["renamed"], from: ["/w/.2"] },
  ]);
  t.deepEqual(inShort(changes), ["created /w/a"]);
});

test("of a file made under one name and removed under another both are reported", async (t) => {
  using bench = makeBench();
  const changes = await bench.look([
    { path: "/w/x", steps: ["created", "renamed"] },
    { path: "/w/y", steps: ["renamed", "deleted"], from: ["/w/x"] },
  ]);
  t.deepEqual(inShort(changes), [
    "transient /w/x created,renamed",
    "transient /w/y renamed,deleted",
  ]);
});

test("a file whose time alone was set and a mode that was put back are reported as what they are", async (t) => {
  using bench = makeBench();
  for (const name of ["/w/time", "/w/mode"]) bench.write(name, "content");
  bench.learn();
  utimesSync(bench.at("/w/time"), 1, 1);
  chmodSync(bench.at("/w/mode"), 0o600);
  chmodSync(bench.at("/w/mode"), 0o644);
  const hinted = { steps: ["attributes"] } as const;
  const changes = await bench.look([
    { path: "/w/mode", ...hinted },
    { path: "/w/time", ...hinted },
  ]);
  t.deepEqual(inShort(changes), ["modified /w/time mtime", "transient /w/mode attributes"]);
});
