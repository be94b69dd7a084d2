import test from "ava";
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { hostname, release } from "node:os";
import { dirname } from "node:path";
import { namesOf, readHostFacts } from "../../src/node/host.ts";
import { makeControlPlane, makePlace } from "../helpers/tree.ts";
import type { Place } from "../helpers/tree.ts";

function put(place: Place, path: string, text: string): void {
  mkdirSync(dirname(place.at(path)), { recursive: true });
  writeFileSync(place.at(path), text);
}

test("a node is described by its own files, not by those of the machine that looks", (t) => {
  using place = makePlace();
  makeControlPlane(place.dir);
  const { bootId, ...facts } = readHostFacts(place.dir);
  t.deepEqual(facts, {
    hostname: "cp-1",
    osName: "Debian GNU/Linux 12",
    osVersion: "12",
    kernel: release(),
    machineId: "0123456789abcdef0123456789abcdef",
  });
  t.regex(bootId ?? "", /^[0-9a-f-]{36}$/);
});

test("what the node does not say is left out, its name is then the machine's", (t) => {
  using place = makePlace();
  const { bootId: _, ...facts } = readHostFacts(place.dir);
  t.deepEqual(facts, { hostname: hostname(), kernel: release() });
});

test("os-release is read with any quotes, and from /usr/lib where /etc has none", (t) => {
  const texts: readonly [text: string, name: string | undefined, version: string | undefined][] = [
    ['PRETTY_NAME="A B"\nVERSION_ID="1.2"\n', "A B", "1.2"],
    ["PRETTY_NAME='A B'\nVERSION_ID=1.2\n", "A B", "1.2"],
    ["# PRETTY_NAME=no\nNAME=x\n", undefined, undefined],
    ["PRETTY_NAME=\nVERSION_ID=", undefined, undefined],
    ["\0\u{fffd}garbage\nPRETTY_NAME=Rocky", "Rocky", undefined],
  ];
  using place = makePlace();
  for (const [text, name, version] of texts) {
    put(place, "/usr/lib/os-release", text);
    const facts = readHostFacts(place.dir);
    t.deepEqual([facts.osName, facts.osVersion], [name, version], text);
  }
  put(place, "/etc/os-release", "PRETTY_NAME=Etc\n");
  t.is(readHostFacts(place.dir).osName, "Etc");
});

test("names are those of the node's users and groups, the first for each number", (t) => {
  using place = makePlace();
  makeControlPlane(place.dir);
  put(
    place,
    "/etc/passwd",
    "root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\nbad\nworse:x:-1:\nempty:x::\n:x:7:\netcd:x:106:109:::\n",
  );
  const names = namesOf(place.dir);
  t.deepEqual([0, 106, 7, -1, 1000].map(names.user), [
    "root",
    "etcd",
    undefined,
    undefined,
    undefined,
  ]);
  t.deepEqual([0, 42, 7].map(names.group), ["root", "shadow", undefined]);
});

test("without the files every number is nameless", (t) => {
  using place = makePlace();
  const names = namesOf(place.dir);
  t.is(names.user(0), undefined);
  t.is(names.group(0), undefined);
});

test("a link out of the node's root does not give the names of the machine that looks", (t) => {
  using place = makePlace();
  using outside = makePlace();
  put(outside, "/passwd", "outsider:x:4242:0:::\n");
  mkdirSync(place.at("/etc"));
  symlinkSync(outside.at("/passwd"), place.at("/etc/passwd"));
  t.is(namesOf(place.dir).user(4242), undefined);
  rmSync(place.at("/etc/passwd"));
  put(place, "/usr/share/passwd", "insider:x:4242:0:::\n");
  symlinkSync("/usr/share/passwd", place.at("/etc/passwd"));
  t.is(namesOf(place.dir).user(4242), "insider");
});

test("a FIFO or a directory in the place of a file blocks nothing", (t) => {
  using place = makePlace();
  makeControlPlane(place.dir);
  for (const path of ["/etc/hostname", "/etc/passwd"]) rmSync(place.at(path));
  execFileSync("mkfifo", [place.at("/etc/hostname")]);
  mkdirSync(place.at("/etc/passwd"));
  t.is(readHostFacts(place.dir).hostname, hostname());
  t.is(namesOf(place.dir).user(0), undefined);
});

test("a file larger than one reading is read to its end", (t) => {
  using place = makePlace();
  const lines = Array.from({ length: 10_000 }, (_, at) => `user-${at}:x:${at}:0:::\n`);
  put(place, "/etc/passwd", lines.join(""));
  t.is(namesOf(place.dir).user(9999), "user-9999");
});
