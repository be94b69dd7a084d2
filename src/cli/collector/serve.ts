import { fingerprintOf, makesCertificate, ownCertificate } from "../../collector/certificate.ts";
import { openKey } from "../../collector/collector.ts";
import { serve } from "../../collector/serve.ts";
import type { CollectorSettings } from "../../collector/settings.ts";
import { readCollectorFile } from "../../config/collector-file.ts";
import { readText } from "../files.ts";
import { exit } from "../fail.ts";
import type { Exit } from "../fail.ts";
import { stopSignal } from "../local.ts";
import { createLog } from "../log.ts";

/** `serve` */
export async function serveCommand(settings: CollectorSettings): Promise<Exit> {
  const log = createLog({ logLevel: settings.logLevel, node: settings.name });
  const tls = settings.tls ?? (await madeTls(settings));
  if (tls) log.info({ fingerprint: fingerprintOf(tls) }, "certificate");
  const { config } = settings;
  const { sinks } =
    config === undefined ? { sinks: [] } : await readCollectorFile(config, readText);
  const all = { ...settings, sinks, ...(tls && { tls }) };
  await serve(all, {
    log,
    signal: stopSignal(),
    onReady: (address) => log.info({ address }, "ready"),
  });
  log.info("stopped");
  return exit.fine;
}

async function madeTls(settings: CollectorSettings) {
  if (!makesCertificate(settings)) return undefined;
  openKey(settings.state);
  return await ownCertificate(settings.state, Date.now());
}
