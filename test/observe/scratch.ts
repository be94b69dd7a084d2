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

/** Runs a command, fails when it fails, and gives what it printed. */
export function run(command: string, ...args: readonly string[]): string {
  const ended = spawnSync(command, args, { encoding: "utf8" });
  if (ended.status !== 0) throw new Error(`${command} ${args.join(" ")}: ${ended.stderr}`);
  return ended.stdout;
}

export function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}
