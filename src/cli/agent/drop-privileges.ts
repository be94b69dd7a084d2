import { limitToNeeded } from "../../agent/privileges.ts";
import { readPolicy } from "../../node/node.ts";
import type { Settings } from "../../config/settings.ts";
import { handOver } from "./handover.ts";

/** Privileges are given up before anything is read; what is handed over to then has no thread that still has them. */
export async function loadWatch(): Promise<(settings: Settings) => Promise<never>> {
  limitToNeeded();
  return async (settings) => handOver(program, { settings, policy: await readPolicy(settings) });
}

const program = new URL(
  import.meta.url.endsWith(".ts") ? "./watch-main.ts" : "./watch-main.js",
  import.meta.url,
);
