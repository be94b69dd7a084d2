import { openNode } from "../../node/node.ts";
import type { Settings } from "../../config/settings.ts";
import { requireWritable } from "../../agent/privileges.ts";
import { openState } from "../../node/state.ts";
import { watchNode } from "../../agent/watch.ts";
import type { Policy } from "../../core/policy/rule.ts";
import { exit } from "../fail.ts";
import type { Exit } from "../fail.ts";
import { createLog } from "../log.ts";
import { printAlert, whenUnwritable } from "../print.ts";

/** By default these end the process silently or, SIGUSR1, open a debugger to every user of this machine. */
const meaningless = ["SIGHUP", "SIGUSR1", "SIGUSR2"] as const;

/** `watch`, with limited privileges and a policy. */
export async function watch(settings: Settings, policy: Policy): Promise<Exit> {
  const stop = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stop.abort());
  for (const name of meaningless) process.on(name, () => undefined);
  const log = createLog(settings);
  // Alerts are queued for delivery even if they cannot be printed.
  whenUnwritable((reason) => log.error({ reason }, "alerts cannot be printed"));
  using node = await openNode(settings, policy);
  requireWritable(settings.state);
  using state = openState(settings);
  await watchNode(node, state, {
    options: {
      settings,
      log,
      onAlert: (alert) => printAlert(settings.format, alert),
      onReady: () => undefined,
    },
    signal: stop.signal,
  });
  return exit.fine;
}
