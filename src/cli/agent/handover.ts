import { closeSync, fstatSync, readSync, writeSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openMemory } from "../../linux/memfd.ts";

const variable = "FIM_HANDOVER";

/**
 * Executes another program of ours in the same process: the memory for reading command line, YAML and policies (30
 * MB) goes with the first. The value goes along in memory, because it may be larger than an environment.
 */
export function handOver(program: URL, value: unknown): never {
  const { execPath, execArgv, argv, argv0, env } = process;
  if (!process.execve) throw new Error("process.execve: not in this Node");
  const fd = openMemory("fim-agent");
  const bytes = Buffer.from(JSON.stringify(value));
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
  const args = [argv0, ...execArgv, fileURLToPath(program), ...argv.slice(2)];
  return process.execve(execPath, args, { ...env, [variable]: String(fd) });
}

/** The value of the first program. Undefined: this program was not started by ours. */
export function takeOver(): unknown {
  const fd = Number(process.env[variable] ?? Number.NaN);
  delete process.env[variable];
  if (!Number.isSafeInteger(fd)) return undefined;
  const bytes = Buffer.alloc(fstatSync(fd).size);
  for (let at = 0; at < bytes.length;) at += readSync(fd, bytes, at, bytes.length - at, at);
  closeSync(fd);
  return JSON.parse(bytes.toString("utf8"));
}
