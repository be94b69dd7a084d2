import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";

/** A directory that is removed at the end of the block. */
export class Scratch {
  readonly path = mkdtempSync(`${tmpdir()}/fim-observe-`);

  at(name: string): string {
    return `${this.path}/${name}`;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

const packages = new Map([
  ["setfacl", "acl"],
  ["getfacl", "acl"],
  ["setcap", "libcap2-bin"],
  ["getcap", "libcap2-bin"],
  ["setfattr", "attr"],
  ["chattr", "e2fsprogs"],
  ["openssl", "openssl"],
]);

/** Runs a command, fails when it fails, and gives what it printed. */
export function run(command: string, ...args: readonly string[]): string {
  const ended = spawnSync(command, args, { encoding: "utf8" });
  if (ended.error && "code" in ended.error && ended.error.code === "ENOENT")
    throw new Error(`${command} is missing: apt-get install ${packages.get(command) ?? command}`);
  if (ended.status !== 0) throw new Error(`${command} ${args.join(" ")}: ${ended.stderr}`);
  return ended.stdout;
}

export const isRoot = process.getuid?.() === 0;

export function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}
