import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { accessSync, constants, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openGroup } from "../../src/linux/fanotify.ts";
import { close } from "../../src/linux/files.ts";

const launcher = join(import.meta.dirname, "../../bin/fim-agent");

/** Why scenarios with the fanotify engine cannot run here, or undefined. */
export const fanotifyMissing = whyNoFanotify();

function whyNoFanotify(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root: fanotify with pids, mounts, namespaces";
  try {
    close(openGroup().fd);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Starts bin/fim-agent and does not wait for anything: for events while it starts. */
export function launch(args: readonly string[]): {
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
} {
  const child = spawn(launcher, args, { stdio: "ignore" });
  const ended = new Promise<void>((resolve, reject) => {
    child.once("error", reject).once("close", () => resolve());
  });
  return { child, ended };
}

/** A program that runs bin/fim-agent behind a shell line, "$@" being its arguments. */
export function wrap(file: string, line: string): string {
  rmSync(file, { force: true });
  writeFileSync(file, `#!/bin/sh\n${line.replace("AGENT", `"${launcher}"`)}\n`, { mode: 0o755 });
  return file;
}

/** Keeps both cores of a small machine and more busy until it is disposed of. */
export function busyLoops(count: number): Disposable {
  const loops = Array.from({ length: count }, () =>
    spawn("sh", ["-c", "while :; do :; done"], { stdio: "ignore" }),
  );
  return {
    [Symbol.dispose]: () => {
      for (const loop of loops) loop.kill("SIGKILL");
    },
  };
}

/** Awaits the end of a process that must end well; its standard output. */
export async function outputOf(child: ChildProcess): Promise<string> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => err.push(chunk));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject).once("close", resolve);
  });
  if (code !== 0) {
    const said = Buffer.concat(err).toString();
    throw new Error(`${child.spawnargs.join(" ").slice(0, 200)} ended with ${code}: ${said}`);
  }
  return Buffer.concat(out).toString();
}

/** The program's own file, no link to it; undefined when there is none. */
export function programOf(name: string): string | undefined {
  const path = `/usr/bin/${name}`;
  try {
    accessSync(path, constants.X_OK);
    return execFileSync("readlink", ["-f", path], { encoding: "utf8" }).trim();
  } catch {
    return undefined;
  }
}

/** Milliseconds of CPU time that a process has used (proc_pid_stat(5), in hundredths of a second). */
export function cpuTime(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
