import fc from "fast-check";
import type { Change } from "../../src/core/change/change.ts";
import type { Look } from "../../src/core/change/compare.ts";
import type { Observation } from "../../src/core/change/observation.ts";
import { isBelow } from "../../src/core/path.ts";

/* A small file system, so that the looks are such as a real one could give. */
export type Disk = Map<string, Observation>;

let inodes = 100;
export function file(content: string, over: Partial<Observation> = {}): Observation {
  inodes += 1;
  return {
    type: "file",
    mode: 0o600,
    uid: 0,
    gid: 0,
    size: content.length,
    mtime: `m${content}`,
    ctime: "c",
    btime: `b${inodes}`,
    dev: "8:1",
    ino: String(inodes),
    nlink: 1,
    sha256: content,
    ...over,
  };
}

function directory(): Observation {
  const { sha256: _, ...rest } = file("", { type: "directory", size: 0 });
  return rest;
}

export function looksOf(before: Disk, after: Disk): Look[] {
  return [...new Set([...before.keys(), ...after.keys()])].toSorted().flatMap((path) => {
    const was = before.get(path);
    const is = after.get(path);
    return [{ path, ...(was && { before: was }), ...(is && { after: is }) }];
  });
}

type Tree = ReadonlyMap<string, Observation>;

/** Removes a path with all below it. The keys of the result are what follows the path in a name. */
function take(disk: Disk, path: string): Tree {
  const taken = [...disk].filter(([one]) => one === path || isBelow(one, path));
  for (const [one] of taken) disk.delete(one);
  return new Map(taken.map(([one, seen]) => [one.slice(path.length), seen]));
}

const put = (disk: Disk, path: string, tree: Tree): void =>
  tree.forEach((seen, suffix) => disk.set(path + suffix, seen));

/** What a reader of the changes makes of the disk before them, one by one (contract, "The chain is a history"). */
export function replay(before: Disk, changes: readonly Change[]): Disk {
  const disk = new Map(before);
  const rest = [...changes];
  for (let change = rest.shift(); change; change = rest.shift()) {
    if (change.kind === "deleted") disk.delete(change.path);
    if (change.kind === "created" || change.kind === "modified")
      disk.set(change.path, change.after);
    if (change.kind !== "renamed") continue;
    const { path, from, after } = change;
    const moved = take(disk, from);
    const overwritten = take(disk, path);
    put(disk, path, moved);
    disk.set(path, after);
    const [next] = rest;
    if (next?.kind !== "renamed" || next.path !== from || next.from !== path) continue;
    put(disk, from, overwritten);
    disk.set(from, next.after);
    rest.shift();
  }
  return disk;
}

const tops = ["/w/a", "/w/b", "/w/d", "/w/e"];
const names = tops.flatMap((top) => [top, `${top}/x`, `${top}/y`, `${top}/x/z`]);
export type Op =
  | { op: "write"; path: string; content: string }
  | { op: "chmod"; path: string; mode: number }
  | { op: "remove"; path: string }
  | { op: "mkdir"; path: string }
  | { op: "move"; from: string; to: string }
  | { op: "exchange"; from: string; to: string }
  | { op: "replace"; path: string; content: string };
const name = fc.constantFrom(...names);
const content = fc.constantFrom("one", "two", "three", "four");
export const op: fc.Arbitrary<Op> = fc.oneof(
  fc.record({ op: fc.constant("write" as const), path: name, content }),
  fc.record({
    op: fc.constant("chmod" as const),
    path: name,
    mode: fc.constantFrom(0o600, 0o644, 0o755),
  }),
  fc.record({ op: fc.constant("remove" as const), path: name }),
  fc.record({ op: fc.constant("mkdir" as const), path: name }),
  fc.record({ op: fc.constant("move" as const), from: name, to: name }),
  fc.record({ op: fc.constant("exchange" as const), from: name, to: name }),
  fc.record({ op: fc.constant("replace" as const), path: name, content }),
);

function parent(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

const isRelated = (a: string, b: string): boolean => a === b || isBelow(a, b) || isBelow(b, a);

/** Does what a real filesystem would do; what it would refuse does nothing. */
export function run(disk: Disk, step: Op): void {
  const isFree = (path: string) =>
    path.split("/").length === 3 || disk.get(parent(path))?.type === "directory";
  switch (step.op) {
    case "write": {
      const known = disk.get(step.path);
      if (!isFree(step.path) || known?.type === "directory") return;
      const fresh = file(step.content);
      disk.set(
        step.path,
        known ? { ...fresh, mode: known.mode, ino: known.ino, btime: known.btime ?? "" } : fresh,
      );
      return;
    }
    case "chmod": {
      const known = disk.get(step.path);
      if (known) disk.set(step.path, { ...known, mode: step.mode });
      return;
    }
    case "remove":
      take(disk, step.path);
      return;
    case "mkdir":
      if (isFree(step.path) && !disk.has(step.path)) disk.set(step.path, directory());
      return;
    case "move": {
      if (!disk.has(step.from) || !isFree(step.to) || isRelated(step.from, step.to)) return;
      take(disk, step.to);
      put(disk, step.to, take(disk, step.from));
      return;
    }
    case "exchange": {
      if (!disk.has(step.from) || !disk.has(step.to) || isRelated(step.from, step.to)) return;
      const [one, other] = [take(disk, step.from), take(disk, step.to)];
      put(disk, step.to, one);
      put(disk, step.from, other);
      return;
    }
    case "replace":
      if (isFree(step.path) && disk.get(step.path)?.type !== "directory")
        disk.set(step.path, file(step.content));
  }
}

export function start(): Disk {
  return new Map([
    ["/w/a", file("one")],
    ["/w/b", file("two")],
    ["/w/d", directory()],
    ["/w/d/x", file("three")],
    ["/w/d/y", file("four")],
  ]);
}
