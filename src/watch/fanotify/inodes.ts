import { joinPath } from "../../core/path.ts";

/** Why a directory is marked. */
export type Reach =
  /** It leads to a watched path: only its names matter. */
  | "way"
  /** It holds watched paths. */
  | "watched"
  /** It was added on request, without a rule. */
  | "extra";

/**
 * A directory by place: parent and name. A rename changes only these two. The key is the inode's (linux/handles.ts);
 * absent: the directory cannot be marked.
 */
export interface Directory {
  readonly key: string | undefined;
  readonly reach: Reach;
  readonly parent: Directory | undefined;
  readonly name: string;
  /** Number of file names known in it. */
  readonly files: number;
}

export interface FileName {
  readonly dir: Directory;
  readonly name: string;
}

interface Node extends Directory {
  key: string | undefined;
  reach: Reach;
  parent: Node | undefined;
  name: string;
  files: number;
  children: Map<string, Node> | undefined;
}

/** Maps marked inodes to paths: directories as a tree, files by directory and name. */
export class Inodes {
  readonly #top: Node = newNode(undefined, "");
  /** One inode can have several places (bind mounts, links to directories on the way). */
  readonly #directories = new Map<string, Node[]>();
  readonly #files = new FileNames();

  /** Marked inodes. */
  get size(): number {
    return this.#directories.size + this.#files.size;
  }

  /** The places of a directory's inode. */
  directories(key: string): readonly Directory[] {
    return this.#directories.get(key) ?? [];
  }

  at(path: string): Directory | undefined {
    let node: Node | undefined = this.#top;
    for (const name of path.split("/")) if (name !== "") node = node?.children?.get(name);
    return node;
  }

  childOf(dir: Directory, name: string): Directory | undefined {
    return (dir as Node).children?.get(name);
  }

  pathOf(dir: Directory): string {
    return dir.parent ? joinPath(this.pathOf(dir.parent), dir.name) : "/";
  }

  /** Notes the inode at this path. Another inode that had the path stays known without it. */
  put(path: string, key: string, reach: Reach): Directory {
    let node = this.#top;
    for (const name of path.split("/")) if (name !== "") node = childNode(node, name);
    if (node.key !== undefined && node.key !== key) node = this.#replace(node, key);
    if (node.key === undefined) this.#addKey(node, key);
    node.reach = reach;
    return node;
  }

  move(dir: Directory, parent: Directory, name: string): void {
    const node = dir as Node;
    detach(node);
    node.parent = parent as Node;
    node.name = name;
    attach(node);
  }

  /** Forgets a directory and everything below it. */
  remove(dir: Directory): void {
    const node = dir as Node;
    detach(node);
    const gone = new Set<Directory>();
    this.#forget(node, gone);
    if ([...gone].some(({ files }) => files > 0)) this.#files.removeFrom(gone);
  }

  clear(): void {
    this.#top.children = undefined;
    this.#top.key = undefined;
    this.#directories.clear();
    this.#files.clear();
  }

  putFile(key: string, file: FileName): void {
    if (this.#files.add(key, file)) (file.dir as Node).files += 1;
  }

  removeFile(key: string, file: FileName): void {
    if (this.#files.remove(key, file)) (file.dir as Node).files -= 1;
  }

  /** The watched names of a file's inode: several when it has hard links. */
  files(key: string): readonly FileName[] {
    return this.#files.get(key);
  }

  /** Restores the inode that had the place before a mount hid it. */
  #replace(node: Node, key: string): Node {
    const hidden = this.#directories
      .get(key)
      ?.find((one) => one.parent === node.parent && one.name === node.name);
    if (!hidden || !node.parent) return replaceNode(node);
    this.remove(node);
    attach(hidden);
    return hidden;
  }

  #addKey(node: Node, key: string): void {
    node.key = key;
    const places = this.#directories.get(key);
    if (places) places.push(node);
    else this.#directories.set(key, [node]);
  }

  #forget(node: Node, gone: Set<Directory>): void {
    gone.add(node);
    if (node.key !== undefined) {
      const places = this.#directories.get(node.key)?.filter((one) => one !== node) ?? [];
      if (places.length > 0) this.#directories.set(node.key, places);
      else this.#directories.delete(node.key);
    }
    for (const child of node.children?.values() ?? []) this.#forget(child, gone);
  }
}

/**
 * Inode -> names for 100,000 inodes: a map to a number and two arrays, about 120 bytes a file. Further names of an
 * inode are rare and stored apart.
 */
class FileNames {
  readonly #slots = new Map<string, number>();
  readonly #dirs: (Directory | undefined)[] = [];
  readonly #names: string[] = [];
  readonly #free: number[] = [];
  readonly #more = new Map<string, FileName[]>();

  get size(): number {
    return this.#slots.size;
  }

  get(key: string): readonly FileName[] {
    const first = this.#first(key);
    return first ? [first, ...(this.#more.get(key) ?? [])] : [];
  }

  /** False: already known. */
  add(key: string, file: FileName): boolean {
    if (this.get(key).some((one) => isSame(one, file))) return false;
    if (this.#slots.has(key)) this.#more.set(key, [...(this.#more.get(key) ?? []), file]);
    else {
      const slot = this.#free.pop() ?? this.#dirs.length;
      this.#slots.set(key, slot);
      this.#dirs[slot] = file.dir;
      this.#names[slot] = file.name;
    }
    return true;
  }

  /** False: unknown. */
  remove(key: string, file: FileName): boolean {
    const known = this.get(key);
    const left = known.filter((one) => !isSame(one, file));
    if (left.length === known.length) return false;
    this.#replace(key, left);
    return true;
  }

  removeFrom(dirs: ReadonlySet<Directory>): void {
    for (const key of [...this.#more.keys(), ...this.#slots.keys()]) {
      const known = this.get(key);
      const left = known.filter(({ dir }) => !dirs.has(dir));
      if (left.length < known.length) this.#replace(key, left);
    }
  }

  clear(): void {
    this.#slots.clear();
    this.#more.clear();
    this.#dirs.length = 0;
    this.#names.length = 0;
    this.#free.length = 0;
  }

  #first(key: string): FileName | undefined {
    const slot = this.#slots.get(key);
    const dir = slot === undefined ? undefined : this.#dirs[slot];
    return slot === undefined || !dir ? undefined : { dir, name: this.#names[slot] ?? "" };
  }

  #replace(key: string, files: readonly FileName[]): void {
    const slot = this.#slots.get(key);
    if (slot !== undefined) {
      this.#dirs[slot] = undefined;
      this.#names[slot] = "";
      this.#free.push(slot);
    }
    this.#slots.delete(key);
    this.#more.delete(key);
    for (const file of files) this.add(key, file);
  }
}

function isSame(a: FileName, b: FileName): boolean {
  return a.dir === b.dir && a.name === b.name;
}

function newNode(parent: Node | undefined, name: string): Node {
  return { key: undefined, reach: "way", parent, name, files: 0, children: undefined };
}

function childNode(node: Node, name: string): Node {
  const known = node.children?.get(name);
  if (known) return known;
  const child = newNode(node, name);
  attach(child);
  return child;
}

/** A fresh node in place of one whose inode is gone (mounted over, exchanged). */
function replaceNode(node: Node): Node {
  const fresh = newNode(node.parent, node.name);
  if (!node.parent) return node;
  attach(fresh);
  return fresh;
}

function attach(node: Node): void {
  if (!node.parent) return;
  node.parent.children ??= new Map();
  node.parent.children.set(node.name, node);
}

/** Only if it still owns the place. */
function detach(node: Node): void {
  if (node.parent?.children?.get(node.name) === node) node.parent.children.delete(node.name);
}
