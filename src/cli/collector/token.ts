import { openKey, openStore } from "../../collector/collector.ts";
import type { CollectorSettings } from "../../collector/settings.ts";
import { makeSecret, tokenDigest } from "../../collector/enroll/token.ts";
import { pinnedCertificate } from "../../collector/certificate.ts";
import { printJoinToken } from "../../core/record/join-token.ts";
import { parseName } from "../../config/options.ts";
import { parseDuration } from "../../core/duration.ts";
import { IntegrityError } from "../../core/error.ts";
import { exit } from "../fail.ts";
import type { Exit } from "../fail.ts";
import { out, say } from "../print.ts";

const hour = 3_600_000;

/** `token --node NAME [--ttl 1h]`: the token on stdout, for a file on the node. */
export async function token(
  settings: CollectorSettings,
  given: Readonly<Record<string, unknown>>,
): Promise<Exit> {
  const name = parseName(given["node"] as string);
  if ("problem" in name) throw wrong(`--node: ${name.problem}`);
  const text = given["ttl"];
  const ttl = typeof text === "string" ? parseDuration(text) : hour;
  if (ttl === undefined || ttl < 1000 || ttl > 24 * hour)
    throw wrong("--ttl: expected a duration from 1s to 24h, such as 1h");
  openKey(settings.state);
  await using store = await openStore(settings);
  const secret = makeSecret("fimjoin");
  const expires = Date.now() + ttl;
  await store.addToken(tokenDigest(secret), { node: name.value, expires });
  out(printJoinToken(secret, settings.tls ? undefined : pinnedCertificate(settings.state)));
  say(`for node ${name.value}, usable once until ${new Date(expires).toISOString()}`);
  return exit.fine;
}

function wrong(message: string): IntegrityError {
  return new IntegrityError("USAGE", message, { hint: "see fim-collector token --help" });
}
