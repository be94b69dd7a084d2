import { limitToNeeded } from "../../agent/privileges.ts";
import { readPolicy } from "../../node/node.ts";
import type { Settings } from "../../config/settings.ts";
import { handOver } from "./handover.ts";

/** Drops privileges before it reads anything, then executes the second half, whose threads never had them. */
export async function loadWatch(): Promise<(settings: Settings) => Promise<never>> {
  limitToNeeded();
  return async (settings) => handOver(program, { settings, policy: await readPolicy(settings) });
}

const program = new URL(
  import.meta.url.endsWith(".ts") ? "./watch-main.ts" : "./watch-main.js",
  import.meta.url,
);
