import { Buffer } from "node:buffer";
import { IntegrityError } from "../../core/error.ts";
import { keyIdOf, parseEnvelope, rawPublicKey } from "../../core/record/dsse.ts";
import { present } from "../../core/present.ts";
import type { AgentKey } from "../../baseline/key.ts";
import { hashAtOf } from "../log/prove.ts";
import { collectorKeyName } from "../own-chain.ts";
import type { StoredBatch } from "../store/log.ts";
import type { NodeKey, NodeName, Store } from "../store/store.ts";
import type { Evidence, LoggedBatch } from "./export.ts";

/** Batches that are read at once. */
const page = 64;

interface Selection {
  readonly node?: NodeName;
  /** Received at or after, milliseconds since 1970. */
  readonly since?: number;
}

/** All that the log holds now, or the selected batches of it. */
export async function evidenceOf(
  store: Store,
  key: AgentKey,
  selection: Selection = {},
): Promise<Evidence> {
  const tree = await store.log.tree();
  const batches = selectBatches(store, key, { ...selection, to: tree.size });
  return { tree, hashAt: hashAtOf(store.log), batches };
}

async function* selectBatches(
  store: Store,
  own: AgentKey,
  query: Selection & { readonly to: number },
): AsyncGenerator<LoggedBatch> {
  for (let from = 0; ;) {
    const batches = await store.log.batches({ ...query, from, limit: page });
    for (const batch of batches) yield await toLogged(store, own, batch);
    const last = batches.at(-1);
    if (!last) return;
    // A batch without records was altered: the export shows it, and goes on.
    from = last.leaf + Math.max(last.records.length, 1);
  }
}

async function toLogged(store: Store, own: AgentKey, stored: StoredBatch): Promise<LoggedBatch> {
  const { leaf, chain, branch, keys, enrolment, envelope, records } = stored;
  const keyId = parseEnvelope(envelope)?.signatures[0]?.keyid ?? "";
  const signer =
    keys.find((one) => one.keyId === keyId)?.publicKey ?? (await collectorKey(store, own, keyId));
  if (signer) return present({ leaf, chain, branch, signer, enrolment, envelope, records });
  throw new IntegrityError(
    "CHAIN_BROKEN",
    `the store was altered: record ${leaf} of its log is signed by ${keyId}, whose key is gone`,
    { hint: "restore it from a backup" },
  );
}

/** A key of one of the collectors that share the store. */
async function collectorKey(
  store: Store,
  own: AgentKey,
  keyId: string,
): Promise<Buffer | undefined> {
  const all: readonly NodeKey[] = [own.publicKey, ...own.past].map((one) => ({
    keyId: keyIdOf(one),
    publicKey: rawPublicKey(one),
  }));
  const known = all.find((one) => one.keyId === keyId);
  if (known) return known.publicKey;
  const text = await store.transact(async (tx) => await tx.readMeta(collectorKeyName(keyId)));
  return text === undefined ? undefined : Buffer.from(text, "base64");
}
