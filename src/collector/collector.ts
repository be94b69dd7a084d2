import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { createKey, loadKey } from "../baseline/key.ts";
import type { AgentKey } from "../baseline/key.ts";
import { IntegrityError } from "../core/error.ts";
import { rawPublicKey } from "../core/record/dsse.ts";
import type { Admission } from "./enroll/enroll.ts";
import type { Collector } from "./ingest/receive.ts";
import { checkLog, checkNewest } from "./log/check.ts";
import { Verifier } from "./ingest/verifier.ts";
import { Checkpoints } from "./log/checkpoints.ts";
import { claimLog } from "./owner.ts";
import { Nonces } from "./nonce.ts";
import { OwnChain, collectorKeyName } from "./own-chain.ts";
import { RateLimit } from "./rate-limit.ts";
import { openPostgresStore } from "./store/postgres/store.ts";
import type { Store } from "./store/store.ts";
import { openSqliteStore } from "./store/sqlite/store.ts";

/** One alarm for a node's refused records, then one in ten minutes. */
const rejectionRate = { burst: 1, perSecond: 1 / 600 };

/** Newest records that are compared with the log before the collector starts. */
const checkedRecords = 10_000;

export interface StoreSettings {
  /** "sqlite:FILE" or "postgres://…" */
  readonly store?: string;
  readonly state: string;
  /** Milliseconds that one search may take. */
  readonly searchLimit?: number;
}

/** The database file, unless the settings name another store. By default it lies in the state directory. */
export function sqliteFile({ store, state }: StoreSettings): string | undefined {
  if (store === undefined) return join(state, "collector.db");
  return store.startsWith("sqlite:") ? store.slice("sqlite:".length) : undefined;
}

/** Opens the store that the settings name. */
export async function openStore(settings: StoreSettings): Promise<Store> {
  const file = sqliteFile(settings);
  const { store: where = "", searchLimit } = settings;
  if (file !== undefined) return openSqliteStore(file, searchLimit);
  if (/^postgres(?:ql)?:\/\//.test(where)) return await openPostgresStore(where, searchLimit);
  // The message must not repeat what was given: it may hold a password.
  throw new IntegrityError("CONFIG_INVALID", "--store: expected sqlite:FILE or postgres://…", {
    hint: "such as sqlite:/var/lib/fim-collector/collector.db or postgres://USER@HOST/DATABASE",
  });
}

/** The key of a collector that has run. Makes none. */
export function requireKey(state: string): AgentKey {
  const key = loadKey(state);
  if (key) return key;
  throw new IntegrityError("KEY_INVALID", `key: there is none in ${state}`, {
    hint: "check --state; the key is made when the collector first runs: fim-collector serve",
  });
}

/** The key with which this collector signs; made at the first start, with the state directory. */
export function openKey(state: string): AgentKey {
  return loadKey(state) ?? createKey(state);
}

export async function openCollector(
  settings: StoreSettings & { readonly name: string; readonly admission?: Admission },
  clock: () => number,
): Promise<Collector & AsyncDisposable> {
  const key = openKey(settings.state);
  const store = await openStore(settings);
  const raw = rawPublicKey(key.publicKey).toString("base64");
  const owner = { keyId: key.id, name: settings.name };
  const secret = await store.transact(async (tx) => {
    await tx.writeMeta(collectorKeyName(key.id), raw);
    const known = await tx.readMeta("nonces");
    if (known !== undefined) return known;
    const made = randomBytes(32).toString("base64");
    await tx.writeMeta("nonces", made);
    return made;
  });
  const checkpoints = new Checkpoints({ store, key: key.privateKey, name: settings.name, clock });
  try {
    await claimLog(store, owner, clock());
    await checkLog(store.log, checkpoints.key);
    await checkNewest(store.log, checkedRecords);
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
  const verifier = new Verifier();
  return {
    store,
    clock,
    checkpoints,
    admission: settings.admission ?? {},
    verifier,
    own: new OwnChain({ key, name: settings.name, clock }),
    rejections: new RateLimit(rejectionRate),
    nonces: new Nonces(Buffer.from(secret, "base64"), clock),
    [Symbol.asyncDispose]: async () => {
      await verifier[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}
