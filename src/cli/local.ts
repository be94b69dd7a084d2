import { captureBaseline } from "../agent/commands/capture.ts";
import { loadSettings } from "../config/load.ts";
import { openNode } from "../node/node.ts";
import type { Settings } from "../config/settings.ts";
import { createState } from "../node/state.ts";
import type { State } from "../node/state.ts";
import type { Node } from "../node/node.ts";
import { watchNode } from "../agent/watch.ts";
import { readText } from "./files.ts";
import { createLog } from "./log.ts";
import { out, printAlert } from "./print.ts";

interface LocalOptions {
  readonly root: string;
  readonly state: string;
  /** Called when no change can be missed any more. */
  readonly onReady?: () => void;
}

/** An agent for this terminal: captures a baseline if there is none, then prints each alert as one line. */
export async function runLocally(options: LocalOptions, signal: AbortSignal): Promise<void> {
  const settings = await localSettings(options);
  using node = await openNode(settings);
  using state = createState(settings);
  await requireBaseline(node, state, settings);
  await watchNode(node, state, {
    signal,
    options: {
      settings,
      log: createLog(settings),
      onAlert: (alert) => printAlert("table", alert),
      onReady: ({ host, port }) => {
        out(
          `watching ${state.current.count()} paths; health and metrics on http://${host}:${port}/`,
        );
        out("alerts appear here; Ctrl-C stops");
        options.onReady?.();
      },
    },
  });
}

/** Another process may use the default port: this agent takes a free one. */
function localSettings({ root, state }: LocalOptions): Promise<Settings> {
  const argv = { root, state, listen: "127.0.0.1:0", logLevel: "warn" };
  return loadSettings(argv, process.env, readText);
}

async function requireBaseline(node: Node, state: State, settings: Settings): Promise<void> {
  if (state.baseline.exists()) return;
  out(`policy ${node.policy.name}: capturing a baseline of ${settings.root}`);
  const { statement } = await captureBaseline(node, state, {
    settings,
    reason: "first start",
    replace: false,
  });
  out(`baseline: ${statement.rows} paths, signed by ${statement.key}`);
}

/** Ctrl-C and SIGTERM end it in order. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stop.abort());
  return stop.signal;
}
