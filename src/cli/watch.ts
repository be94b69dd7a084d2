import { openNode } from "../agent/node.ts";
import type { Settings } from "../agent/settings.ts";
import { openState } from "../agent/state.ts";
import { watchNode } from "../agent/watch.ts";
import { exit } from "./fail.ts";
import type { Exit } from "./fail.ts";
import { createLog } from "./log.ts";
import { printAlert } from "./print.ts";

/** `watch` */
export async function watch(settings: Settings): Promise<Exit> {
  const stop = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stop.abort());
  using node = await openNode(settings);
  using state = openState(settings);
  await watchNode(node, state, {
    options: {
      settings,
      log: createLog(settings),
      onAlert: (alert) => printAlert(settings.format, alert),
      onReady: () => undefined,
    },
    signal: stop.signal,
  });
  return exit.fine;
}
