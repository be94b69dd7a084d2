#!/usr/local/bin/node
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { launcherFlags } from "../agent/self/launcher-flags.ts";

/*
 * bin/launch.sh for an image without a shell: the image's links fim-agent and fim-collector lead here, and the name
 * decides which program this process becomes. Same pid, same flags.
 */

const mains: Readonly<Record<string, URL>> = {
  "fim-agent": new URL("./main.js", import.meta.url),
  "fim-collector": new URL("./collector.js", import.meta.url),
};

/** They would load other code into the agent. */
const loading: readonly string[] = ["NODE_OPTIONS", "NODE_PATH", "NODE_REPL_EXTERNAL_MODULE"];

const { argv, argv0, env, execPath } = process;
const name = basename(argv[1] ?? "");
const main = mains[name];
if (!main || !process.execve) {
  process.stderr.write(`${name}: expected to be started as ${Object.keys(mains).join(" or ")}\n`);
  process.exitCode = 2;
} else {
  const kept = Object.entries(env).filter(([key]) => !loading.includes(key));
  const args = [argv0, ...launcherFlags, fileURLToPath(main), ...argv.slice(2)];
  process.execve(execPath, args, { ...Object.fromEntries(kept), MALLOC_ARENA_MAX: "1" });
}
