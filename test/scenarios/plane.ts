import { execFileSync, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  appendFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { makeNode } from "../helpers/node.ts";
import type { TestNode } from "../helpers/node.ts";
import { makePlace } from "../helpers/tree.ts";

/** A whole control-plane node to tamper with, and the state of its agent. */
export interface Plane extends TestNode {
  /** A file on the same filesystem that no rule watches. */
  outside(name: string): string;
  /** A directory of old certificates; as it was when it is made again, but for its inodes. */
  makeOld(): void;
  /** Changes a watched file: by its other name no event leads there, only a sweep. */
  mark(by: "own name" | "other name"): void;
  /** Every file as the filesystem itself shows it, by path in latin1. */
  facts(): ReadonlyMap<string, Facts>;
}

/** Sorts after everything that the cases touch, so that its alert comes after theirs even within one commit. */
export const marker = "/var/spool/cron/crontabs/zz-marker";

/** What an alert has to say of a file, by another way of finding out than the agent's. */
export interface Facts {
  readonly type: string;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Not of a directory: its entries come and go without anything to report of it. */
  readonly mtime?: string;
  readonly inode: string;
  readonly sha256?: string;
  readonly target?: string;
}

/** Why these scenarios cannot run here, or undefined. */
export const planeMissing = missing();

export function makePlane(): Plane {
  const node = makeNode({ tree: "control-plane", policy: "kubeadm" });
  const { at, root } = node;
  const outside = (name: string): string => node.beside(`outside/${name}`);
  mkdirSync(outside("strangers"), { recursive: true });
  writeFileSync(outside("stranger.yaml"), "apiVersion: v1\n", { mode: 0o600 });
  writeFileSync(outside("strangers/one.yaml"), "apiVersion: v1\nkind: Pod\n", { mode: 0o600 });
  linkSync(at("/etc/kubernetes/scheduler.conf"), outside("scheduler.conf"));
  writeFileSync(at(marker), "# nothing yet\n", { mode: 0o600 });
  linkSync(at(marker), outside("marker"));
  const makeOld = (): void => {
    mkdirSync(at("/etc/kubernetes/pki/old/deep"), { recursive: true });
    for (const name of ["a.crt", "deep/.b.key"])
      writeFileSync(at(`/etc/kubernetes/pki/old/${name}`), `${name}\n`, { mode: 0o600 });
  };
  makeOld();
  return {
    ...node,
    outside,
    makeOld,
    mark: (by) => {
      const file = by === "own name" ? at(marker) : outside("marker");
      appendFileSync(file, `${randomBytes(4).toString("hex")}\n`);
    },
    facts: () => new Map(factsBelow(Buffer.from(root), "")),
    [Symbol.dispose]: () => {
      // It complains of what has no flags, such as a symbolic link.
      spawnSync("chattr", ["-R", "-f", "-i", "-a", root], { stdio: "ignore" });
      node[Symbol.dispose]();
    },
  };
}

function* factsBelow(dir: Buffer, path: string): Generator<readonly [string, Facts]> {
  for (const name of readdirSync(dir, { encoding: "buffer" })) {
    const file = Buffer.concat([dir, Buffer.from("/"), name]);
    const own = `${path}/${name.toString("latin1")}`;
    const facts = factsOf(file);
    yield [own, facts];
    if (facts.type === "directory") yield* factsBelow(file, own);
  }
}

function factsOf(file: Buffer): Facts {
  const stat = lstatSync(file, { bigint: true });
  const type = stat.isFile()
    ? "file"
    : stat.isDirectory()
      ? "directory"
      : stat.isSymbolicLink()
        ? "symlink"
        : stat.isFIFO()
          ? "fifo"
          : stat.isSocket()
            ? "socket"
            : stat.isBlockDevice()
              ? "block"
              : "char";
  const seconds = new Date(Number(stat.mtimeNs / 1_000_000_000n) * 1000).toISOString().slice(0, 19);
  return {
    type,
    mode: (Number(stat.mode) & 0o7777).toString(8).padStart(4, "0"),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    size: type === "directory" ? 0 : Number(stat.size),
    inode: String(stat.ino),
    ...(type !== "directory" && {
      mtime: `${seconds}.${String(stat.mtimeNs % 1_000_000_000n).padStart(9, "0")}Z`,
    }),
    ...(type === "file" && {
      sha256: createHash("sha256").update(readFileSync(file)).digest("hex"),
    }),
    ...(type === "symlink" && { target: readlinkSync(file) }),
  };
}

function missing(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root: owners, devices and flags are changed";
  const tools = ["setfacl", "setfattr", "setcap", "chattr", "/usr/bin/python3"];
  return tools.find((tool) => !isThere(tool)) ?? flagsFault();
}

function isThere(tool: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v ${tool}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Where the filesystem of the temporary directory has no chattr flags, some cases cannot be played. */
function flagsFault(): string | undefined {
  using place = makePlace();
  const file = place.at("file");
  writeFileSync(file, "");
  try {
    execFileSync("chattr", ["+a", file], { stdio: "ignore" });
    execFileSync("chattr", ["-a", file], { stdio: "ignore" });
    return undefined;
  } catch {
    return "needs a filesystem with chattr flags in the temporary directory";
  }
}
