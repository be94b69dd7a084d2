import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const home = join(import.meta.dirname, "..");

/** A directory of the benchmark's own, where the trees lie: on a real disk if TMPDIR says so. */
export class Scratch implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), "fim-bench-"));

  at(name: string): string {
    return join(this.dir, name);
  }

  /**
   * A policy that watches everything below the node's root; immutable and high: every file is hashed, no alert is
   * folded.
   */
  policy(kind: "immutable" | "volatile" = "immutable"): string {
    const file = this.at(`${kind}.yaml`);
    const rule = {
      id: "all",
      paths: ["/**"],
      class: kind,
      severity: "high",
      why: "It is measured.",
    };
    writeFileSync(file, JSON.stringify({ name: "bench", description: "All of it", rules: [rule] }));
    return file;
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Builds the shipped program below this directory, whatever dist/ holds. Returns its launcher. */
export function buildProgram(into: string): string {
  const node = process.execPath;
  for (const part of ["bin", "baselines", "package.json"])
    cpSync(join(home, part), join(into, part), { recursive: true });
  symlinkSync(join(home, "node_modules"), join(into, "node_modules"));
  run(node, [join(home, "build.ts"), join(into, "dist")]);
  return join(into, "bin/fim-agent");
}

/** Runs a command that must succeed. */
export function run(command: string, args: readonly string[]): string {
  const ended = spawnSync(command, args, { encoding: "utf8", maxBuffer: 2 ** 28 });
  if (ended.error) throw ended.error;
  if (ended.status !== 0)
    throw new Error(
      `${command} ${args.join(" ")}: ${ended.status}\n${ended.stdout}${ended.stderr}`,
    );
  return ended.stdout;
}

export interface Cost {
  readonly seconds: number;
  /** Of all its threads and processes. */
  readonly cpuSeconds: number;
  /** The largest of its processes. */
  readonly peakMegabytes: number;
}

/** Runs a command and measures it with GNU time (wait4(2)). */
export function measure(command: string, args: readonly string[]): Cost {
  const scratch = mkdtempSync(join(tmpdir(), "fim-time-"));
  try {
    const file = join(scratch, "cost");
    run("/usr/bin/time", ["-f", "%e %U %S %M", "-o", file, command, ...args]);
    const [seconds = 0, user = 0, system = 0, kilobytes = 0] = readFileSync(file, "utf8")
      .trim()
      .split(" ")
      .map(Number);
    return { seconds, cpuSeconds: user + system, peakMegabytes: kilobytes / 1024 };
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

export function hasProgram(path: string): boolean {
  return existsSync(path);
}

/** The quantile of the values at this share. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Prints rows in columns: the first aligned left, the others right. */
export function printTable(
  title: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): void {
  const all = [head, ...rows];
  const widths = head.map((_, at) => Math.max(...all.map((row) => (row[at] ?? "").length)));
  const lines = all.map((row) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join("  "),
  );
  process.stdout.write(`\n${title}\n${lines.join("\n")}\n`);
}
