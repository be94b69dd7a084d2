import { constants } from "node:fs";
import { constants as os } from "node:os";
import type { Actor } from "../../core/change/hint.ts";
import { isBelow, joinPath, nameOf, parentOf } from "../../core/path.ts";
import type { Rule, RuleIndex } from "../../core/policy/rule.ts";
import { markDescriptor, markEntry } from "../../linux/fanotify.ts";
import type { Bit, Group, Mark } from "../../linux/fanotify.ts";
import {
  close,
  listFlags,
  lookFlags,
  openInRoot,
  openRoot,
  readDirectory,
} from "../../linux/files.ts";
import type { Entry } from "../../linux/files.ts";
import { directoryHandle, directoryOf, entryKey, nameBytes } from "../../linux/handles.ts";
import type { HandleDirectory } from "../../linux/handles.ts";
import { errnoName } from "../../linux/libc.ts";
import { nodePath, seenAt } from "../engine.ts";
import type { Directory, FileName, Inodes, Reach } from "./inodes.ts";
import { markExecution } from "./programs.ts";

interface MarkerOptions {
  readonly group: Group;
  /** Where the agent sees the node's root. */
  readonly root: string;
  /** Below it, absolute symbolic links are resolved as if it were "/". */
  readonly within?: string;
  readonly index: RuleIndex;
  readonly inodes: Inodes;
  /** Called for a directory that cannot be marked. */
  readonly onUnwatched: (path: string, detail: string) => void;
}

/** A directory on the way to a watched one may be a link: mark its target. */
const wayFlags = (lookFlags & ~constants.O_NOFOLLOW) | constants.O_DIRECTORY;
/** Absent or not a directory: another event covers it. */
const vanished: readonly number[] = [-os.errno.ENOENT, -os.errno.ENOTDIR, -os.errno.ELOOP];

/** Sets the marks and notes in `inodes` where each marked inode is. */
export class Marker implements Disposable {
  readonly #options: MarkerOptions;
  readonly #rootFd: number;
  readonly #within: { readonly path: string; readonly fd: number };
  readonly #roots: ReadonlySet<string>;
  /** The directory of the last marked file: files come in groups. */
  #last: { readonly dir: Directory; readonly handle: HandleDirectory } | undefined;

  constructor(options: MarkerOptions) {
    this.#options = options;
    this.#rootFd = openRoot(options.root);
    const path = options.within ?? "/";
    this.#within = { path, fd: openRoot(seenAt(options.root, path)) };
    this.#roots = new Set(options.index.roots);
  }

  /** Marks everything that the rules watch, and the way to it. */
  coverAll(): void {
    for (const root of this.#roots) this.#coverRoot(root, "/");
  }

  /** Marks a new path as far as rules or an earlier request want it. */
  cover(path: string): void {
    if (this.#isWithinRoots(path)) this.#tree(path, this.#reachOf(path));
    else if (this.#isOnTheWay(path)) {
      for (const root of this.#roots) if (isBelow(root, path)) this.#coverRoot(root, path);
    } else if (this.#options.inodes.at(parentOf(path))?.reach === "extra")
      this.#tree(path, "extra");
  }

  /** Rules' roots reached through a link that was made or removed. */
  rootsBeyond(path: string): readonly string[] {
    return this.#isOnTheWay(path) ? [...this.#roots].filter((root) => isBelow(root, path)) : [];
  }

  /** Marks a directory on request. */
  request(path: string): void {
    if (this.#options.inodes.at(path)?.key !== undefined) return;
    this.#tree(path, this.#reachOf(path));
  }

  /** Like `request`, although it may be known: a mount may show another inode now, also for a file. */
  requestAnew(path: string): void {
    if (this.#isOnTheWay(path)) this.cover(path);
    else this.#directoryOrFile(path, this.#reachOf(path));
  }

  /** Marks a watched file. */
  attach(file: FileName): void {
    const handle = this.#open(file.dir);
    if (handle) this.#file(handle, file, this.#options.inodes.pathOf(file.dir));
  }

  /** Marks a program so that its executions arrive in event order. */
  markProgram(path: string): Actor["executable"] {
    const fd = this.#openAt(path, lookFlags & ~constants.O_NOFOLLOW);
    return fd < 0 ? undefined : markExecution(this.#options.group, fd);
  }

  /** Whether the file still has this name. */
  isAt(key: string, file: FileName): boolean {
    const handle = this.#open(file.dir);
    return handle !== undefined && entryKey(handle, nameBytes(file.name)) === key;
  }

  /** Whether the directory still has this path. */
  isThere(dir: Directory): boolean {
    this.rest();
    return this.#open(dir) !== undefined;
  }

  /** The node path of an unwatched directory on a watched filesystem. */
  pathOfForeign(key: string, beside: Directory): string | undefined {
    const fd = this.#openAt(this.#options.inodes.pathOf(beside), listFlags);
    if (fd < 0) return undefined;
    try {
      const seen = directoryOf(key, fd);
      return seen === undefined ? undefined : nodePath(this.#options.root, seen);
    } finally {
      close(fd);
    }
  }

  /** Closes what a reading kept open. */
  rest(): void {
    if (this.#last) close(this.#last.handle.fd);
    this.#last = undefined;
  }

  [Symbol.dispose](): void {
    this.rest();
    close(this.#rootFd);
    close(this.#within.fd);
  }

  #openAt(path: string, flags: number): number {
    const inside = nodePath(this.#within.path, path);
    return inside === undefined
      ? openInRoot(this.#rootFd, path, flags)
      : openInRoot(this.#within.fd, inside, flags);
  }

  #isWithinRoots(path: string): boolean {
    return this.#roots.has(path) || this.#options.index.roots.some((root) => isBelow(path, root));
  }

  #isOnTheWay(path: string): boolean {
    return (
      !this.#isWithinRoots(path) && this.#options.index.roots.some((root) => isBelow(root, path))
    );
  }

  #reachOf(path: string): Reach {
    return this.#options.index.mayMatchBelow(path) ? "watched" : "extra";
  }

  /** Marks the directories from `from` to a root, then the root: the nearest existing one is enough. */
  #coverRoot(root: string, from: string): void {
    for (const path of waysTo(root)) {
      const isAnew = path === from || isBelow(path, from);
      const known = this.#options.inodes.at(path);
      const isKnown = known?.key !== undefined && (!isAnew || path === "/");
      if (!isKnown && !this.#way(path)) return;
    }
    this.#directoryOrFile(root, "watched");
  }

  #directoryOrFile(path: string, reach: Reach): void {
    if (this.#tree(path, reach) !== -os.errno.ENOTDIR) return;
    const dir = this.#options.inodes.at(parentOf(path));
    if (dir) this.attach({ dir, name: nameOf(path) });
    this.rest();
  }

  /** False: no such directory. One that cannot be marked is still followed. */
  #way(path: string): boolean {
    const { inodes } = this.#options;
    const fd = this.#openAt(path, wayFlags);
    if (fd < 0) return this.#note(path, fd);
    try {
      const handle = directoryHandle(fd);
      if (typeof handle === "number") return this.#note(path, handle);
      const result = markDescriptor(this.#directoryMark("way", path), fd);
      inodes.put(path, handle.key, "way");
      return this.#note(path, result);
    } finally {
      close(fd);
    }
  }

  /** Marks first, lists then: an entry made in between is found twice, never missed. 0, or minus errno for the top. */
  #tree(top: string, reach: Reach): number {
    const waiting = [top];
    let first: number | undefined;
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      const result = this.#directory(path, reach);
      if (typeof result === "number") this.#note(path, result);
      else for (const name of result) waiting.push(joinPath(path, name));
      first ??= typeof result === "number" ? result : 0;
    }
    return first ?? 0;
  }

  /** Names of its wanted directories, or minus errno. */
  #directory(path: string, reach: Reach): readonly string[] | number {
    const { index, inodes } = this.#options;
    const fd = this.#openAt(path, listFlags);
    if (fd < 0) return fd;
    try {
      const handle = directoryHandle(fd);
      if (typeof handle === "number") return handle;
      const failed = markDescriptor(this.#directoryMark(reach, path), fd);
      if (failed !== 0) return failed;
      const dir = inodes.put(path, handle.key, reach);
      const entries = readDirectory(fd);
      if (typeof entries === "number") return entries;
      for (const { name, kind } of entries)
        if (kind !== "directory") this.#file(handle, { dir, name }, path);
      const isWanted = (entry: Entry) =>
        entry.kind !== "other" &&
        (reach === "extra" || index.mayMatchBelow(joinPath(path, entry.name)));
      return entries.filter(isWanted).map(({ name }) => name);
    } finally {
      close(fd);
    }
  }

  #file(handle: HandleDirectory, file: FileName, path: string): void {
    const { group, index, inodes } = this.#options;
    const match = index.find(joinPath(path, file.name));
    if (!match) return;
    const name = nameBytes(file.name);
    const key = entryKey(handle, name);
    if (typeof key === "number") return;
    const wanted = isQuiet(match.rule) ? quietFileBits : fileBits;
    const result = markEntry({ group, wanted, target: "file" }, handle.fd, name);
    if (result === 0) inodes.putFile(key, file);
    else this.#note(path, result);
  }

  /** The directory, if its path still leads to it. */
  #open(dir: Directory): HandleDirectory | undefined {
    if (this.#last?.dir === dir) return this.#last.handle;
    this.rest();
    const fd = this.#openAt(this.#options.inodes.pathOf(dir), wayFlags);
    if (fd < 0) return undefined;
    const handle = directoryHandle(fd);
    if (typeof handle === "number" || (dir.key !== undefined && handle.key !== dir.key)) {
      close(fd);
      return undefined;
    }
    this.#last = { dir, handle };
    return handle;
  }

  #directoryMark(reach: Reach, path: string): Mark {
    const { group } = this.#options;
    const moves: readonly Bit[] = group.level === "target" ? ["rename"] : ["movedFrom", "movedTo"];
    const names: readonly Bit[] = ["create", "delete", ...moves];
    if (reach === "way") return { group, wanted: names, target: "directory" };
    const self: readonly Bit[] = this.#roots.has(path) ? ["deleteSelf", "moveSelf"] : [];
    const wanted: readonly Bit[] = [...names, "attrib", "closeWrite", ...self];
    return { group, wanted, target: "directory and entries" };
  }

  /** False: absent. */
  #note(path: string, result: number): boolean {
    if (result >= 0) return true;
    if (vanished.includes(result)) return false;
    this.#options.onUnwatched(path, errnoName(-result));
    return true;
  }
}

const fileBits: readonly Bit[] = ["attrib", "modify", "closeWrite"];
/** Where content may change, every write would be an event: etcd writes 50 times a second. */
const quietFileBits: readonly Bit[] = ["attrib", "closeWrite"];
const mayBeWritten: ReadonlySet<string> = new Set(["volatile", "sealed", "append-only"]);

/** Where the writer matters, a close is not enough: truncate(2) opens no file, and a descriptor can be passed on. */
function isQuiet(rule: Rule): boolean {
  return mayBeWritten.has(rule.class) && rule.writers.length === 0;
}

/** "/a/b/c" -> "/", "/a", "/a/b" */
function waysTo(path: string): readonly string[] {
  if (path === "/") return [];
  const parent = parentOf(path);
  return [...waysTo(parent), parent];
}
