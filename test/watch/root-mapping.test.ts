import test from "ava";
import type { Hint } from "../../src/core/change/hint.ts";
import type { EngineOptions } from "../../src/watch/engine.ts";
import { asNode, asSeen } from "../../src/watch/root-mapping.ts";
import type { ExtraWatch } from "../../src/watch/root-mapping.ts";
import type { RuleIndex } from "../../src/core/policy/rule.ts";
import { tmpfs } from "../helpers/judged.ts";
import { indexOf } from "./stub.ts";

const options = (root: string): EngineOptions => ({
  root,
  index: indexOf("/etc", "/var/lib/etcd"),
  directories: () => ["/etc/extra", "/"],
  signal: new AbortController().signal,
  now: () => 0,
  sink: () => undefined,
});

const nothing: RuleIndex = { roots: [], find: () => undefined, mayMatchBelow: () => false };
const probe: ExtraWatch = { directories: ["/state/probe"], index: nothing };

const origin = { engine: "fanotify", at: 5 } as const;
const pathHint = (path: string, from?: string): Hint => ({
  ...origin,
  kind: "path",
  path,
  step: "renamed",
  ...(from !== undefined && { from }),
});

test("an engine below a root is given every path as it is seen from here, and the probe beside them", (t) => {
  const seen = asSeen(options("/host"), probe);
  t.is(seen.root, "/");
  t.deepEqual([...seen.directories()], ["/state/probe", "/host/etc/extra", "/host"]);
  t.deepEqual(seen.index.roots, ["/host/etc", "/host/var/lib/etcd"]);
  t.truthy(seen.index.find("/host/etc/passwd"));
  for (const path of ["/etc/passwd", "/hostile/etc/passwd", "/state/probe", "/host/srv"])
    t.is(seen.index.find(path), undefined, path);
});

test("it need not walk where nothing can match, but must come to the root", (t) => {
  const { index } = asSeen(options("/mnt/host"), probe);
  const walked = ["/", "/mnt", "/mnt/host", "/mnt/host/var", "/mnt/host/var/lib/etcd/member"];
  for (const path of walked) t.true(index.mayMatchBelow(path), path);
  for (const path of ["/mnt/other", "/etc", "/mnt/host/srv", "/mnt/hosts"])
    t.false(index.mayMatchBelow(path), path);
});

test("what is watched aside is found beside the node's own paths", (t) => {
  const aside = { directories: [], index: indexOf("/opt/agent", "/host/etc/agent") };
  const { index } = asSeen(options("/host"), aside);
  t.deepEqual(index.roots, ["/host/etc", "/host/var/lib/etcd", "/opt/agent"]);
  for (const path of ["/opt/agent/bin", "/host/etc/passwd"]) t.truthy(index.find(path), path);
  for (const path of ["/opt", "/opt/agent", "/host"]) t.true(index.mayMatchBelow(path), path);
  t.false(index.mayMatchBelow("/opt/other"));
});

test("with the root itself, paths are what they are", (t) => {
  const given = options("/");
  const seen = asSeen(given, probe);
  t.deepEqual(seen.index.roots, given.index.roots);
  t.truthy(seen.index.find("/etc/passwd"));
  t.deepEqual([...seen.directories()], ["/state/probe", "/etc/extra", "/"]);
  const hint = pathHint("/etc/a", "/srv/b");
  t.is(asNode(hint, "/"), hint);
});

const cases: readonly [title: string, hint: Hint, reported: Hint | undefined][] = [
  ["a path inside the root loses the prefix", pathHint("/host/etc/a"), pathHint("/etc/a")],
  ["the root itself is /", pathHint("/host"), pathHint("/")],
  [
    "both names of a rename lose it",
    pathHint("/host/etc/a", "/host/etc/b"),
    pathHint("/etc/a", "/etc/b"),
  ],
  [
    "so does the other name by which a file was written, unless it lies outside",
    { ...pathHint("/host/etc/a"), through: "/host/srv/link" } as Hint,
    { ...pathHint("/etc/a"), through: "/srv/link" } as Hint,
  ],
  [
    "an old name outside the root is left out",
    pathHint("/host/etc/a", "/srv/b"),
    pathHint("/etc/a"),
  ],
  ["a path outside the root is no one's", pathHint("/srv/a"), undefined],
  ["one that only begins alike neither", pathHint("/hostile/a"), undefined],
  [
    "a tree is a path as well",
    { ...origin, kind: "tree", path: "/host/etc", why: "new" },
    { ...origin, kind: "tree", path: "/etc", why: "new" },
  ],
  [
    "so is what is not watched",
    { ...origin, kind: "unwatched", path: "/host/etc", detail: "ENOSPC" },
    { ...origin, kind: "unwatched", path: "/etc", detail: "ENOSPC" },
  ],
  ...(
    [
      { ...origin, kind: "overflow", detail: "lost" },
      { ...origin, kind: "failed", detail: "gone" },
      { ...origin, kind: "mounted", mount: tmpfs },
    ] satisfies Hint[]
  ).map((hint): [string, Hint, Hint] => [`${hint.kind} goes through as it is`, hint, hint]),
];

for (const [title, hint, reported] of cases)
  test(title, (t) => {
    t.deepEqual(asNode(hint, "/host"), reported);
  });
