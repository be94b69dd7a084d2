import { serve } from "../../collector/serve.ts";
import type { CollectorSettings } from "../../collector/settings.ts";
import { exit } from "../fail.ts";
import type { Exit } from "../fail.ts";
import { stopSignal } from "../local.ts";
import { createLog } from "../log.ts";

/** `serve` */
export async function serveCommand(settings: CollectorSettings): Promise<Exit> {
  const log = createLog({ logLevel: settings.logLevel, node: settings.name });
  await serve(settings, {
    log,
    signal: stopSignal(),
    onReady: (address) => log.info({ address }, "ready"),
  });
  log.info("stopped");
  return exit.fine;
}
