import { createPrivateKey, X509Certificate } from "node:crypto";
import { existsSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { loadKey } from "../baseline/key.ts";
import { IntegrityError, messageOf } from "../core/error.ts";
import { printSize } from "../core/duration.ts";
import { madeCertificate, makesCertificate } from "./certificate.ts";
import { openStore, sqliteFile } from "./collector.ts";
import type { CollectorSettings } from "./settings.ts";
import type { Store } from "./store/store.ts";

export interface Check {
  readonly verdict: "fine" | "warning" | "failure";
  /** "store", "key", "tls", "disk", "clock", "users" */
  readonly what: string;
  readonly found: string;
  /** What to do. */
  readonly hint?: string;
}

const day = 86_400_000;
const leastFree = 2 ** 30;

/** Whether `serve` could work with these settings. Milliseconds since 1970. */
export async function examine(settings: CollectorSettings, now: number): Promise<readonly Check[]> {
  return [
    keyCheck(settings),
    tlsCheck(settings, now),
    diskCheck(settings),
    ...(await storeChecks(settings, now)),
  ];
}

function keyCheck({ state }: CollectorSettings): Check {
  const what = "key";
  try {
    const key = loadKey(state);
    return key
      ? { verdict: "fine", what, found: `${key.id} in ${state}` }
      : { verdict: "fine", what, found: "none yet: the first start makes it" };
  } catch (error) {
    return failure(what, error);
  }
}

function tlsCheck(settings: CollectorSettings, now: number): Check {
  const { state, listen } = settings;
  const what = "tls";
  if (!settings.tls && !makesCertificate(settings))
    return { verdict: "fine", what, found: `none, on ${listen.host}` };
  try {
    const tls = settings.tls ?? madeCertificate(state);
    if (!tls)
      return { verdict: "fine", what, found: "no certificate yet: the first start makes one" };
    const certificate = new X509Certificate(tls.cert);
    const until = Date.parse(certificate.validTo);
    const found = `${certificate.subject} until ${new Date(until).toISOString().slice(0, 10)}`;
    if (!certificate.checkPrivateKey(createPrivateKey(tls.key)))
      return { verdict: "failure", what, found, hint: "--tls-key is another certificate's key" };
    const left = until - now;
    const hint = "renew it";
    if (left < 0) return { verdict: "failure", what, found, hint };
    return left < 14 * day
      ? { verdict: "warning", what, found, hint }
      : { verdict: "fine", what, found };
  } catch (error) {
    return { ...failure(what, error), hint: "expected PEM files" };
  }
}

function diskCheck(settings: CollectorSettings): Check {
  const what = "disk";
  const file = sqliteFile(settings);
  const places = [settings.state, ...(file === undefined ? [] : [dirname(file)])];
  const place = places.findLast((one) => existsSync(one));
  if (place === undefined)
    return { verdict: "fine", what, found: `${settings.state}: the first start makes it` };
  const { bavail, bsize } = statfsSync(place);
  const free = bavail * bsize;
  const found = `${printSize(free - (free % 2 ** 20))} free for ${place}`;
  const hint = "make room, or limit the store: --keep-days N, --keep-bytes SIZE";
  return free < leastFree
    ? { verdict: "warning", what, found, hint }
    : { verdict: "fine", what, found };
}

async function storeChecks(settings: CollectorSettings, now: number): Promise<readonly Check[]> {
  const what = "store";
  const file = sqliteFile(settings);
  if (file !== undefined && !existsSync(file))
    return [{ verdict: "fine", what, found: `${file}: the first start makes it` }];
  try {
    await using store = await openStore(settings);
    const nodes = await store.nodes();
    const { size } = await store.log.tree();
    const found = `${printSize(await store.days.size())}, ${size} records in the log, ${nodes.length} nodes`;
    return [
      { verdict: "fine", what, found },
      await clockCheck(store, now),
      await usersCheck(store),
    ];
  } catch (error) {
    return [failure(what, error)];
  }
}

async function clockCheck(store: Store, now: number): Promise<Check> {
  const what = "clock";
  const [newest] = await store.alerts({ limit: 1 });
  const found = new Date(now).toISOString();
  return newest && newest.received > now + 60_000
    ? {
        verdict: "failure",
        what,
        found: `${found}, before the newest record (${new Date(newest.received).toISOString()})`,
        hint: "set the clock; heartbeats are judged by it",
      }
    : { verdict: "fine", what, found };
}

async function usersCheck({ users }: Store): Promise<Check> {
  const what = "users";
  const names = await users.names();
  return names.length === 0
    ? {
        verdict: "warning",
        what,
        found: "no one may log in",
        hint: "fim-collector user add NAME",
      }
    : { verdict: "fine", what, found: `may log in or read the API: ${names.join(", ")}` };
}

function failure(what: string, error: unknown): Check {
  const hint = error instanceof IntegrityError ? error.hint : undefined;
  return {
    verdict: "failure",
    what,
    found: messageOf(error),
    ...(hint !== undefined && { hint }),
  };
}
