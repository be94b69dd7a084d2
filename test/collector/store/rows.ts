import { randomBytes, randomInt } from "node:crypto";
import { pack } from "../../../src/collector/store/packed.ts";
import type {
  AlertColumns,
  NewBatch,
  NewRecord,
  NodeKey,
  NodeName,
  Store,
  StoredNode,
} from "../../../src/collector/store/store.ts";

/** Milliseconds since 1970 of everything that these tests store, unless they say otherwise. */
export const now = Date.UTC(2026, 10, 27, 12);

export const name = (node = "cp-1", cluster = "prod"): NodeName => ({ cluster, node });

export function key(): NodeKey {
  const keyId = `ed25519:${randomBytes(8).toString("hex")}`;
  return { keyId, publicKey: randomBytes(32) };
}

export function columns(more: Partial<AlertColumns> = {}): AlertColumns {
  return {
    uid: `0199${randomBytes(14).toString("hex")}`,
    type: "fim.alert.modified",
    severity: "high",
    at: now,
    ...more,
  };
}

interface MadeRecord extends NewRecord {
  readonly bytes: Buffer;
}

export interface MadeBatch extends NewBatch {
  readonly records: readonly MadeRecord[];
}

export function record(alert?: AlertColumns): MadeRecord {
  const bytes = Buffer.from(JSON.stringify({ salt: randomInt(2 ** 32) }));
  return { hash: randomBytes(32).toString("hex"), bytes, ...(alert && { alert }) };
}

/** A batch of alerts with these columns. The store does not verify it. */
export function batch(first: number, alerts: readonly AlertColumns[] = [columns()]): MadeBatch {
  return batchOf(first, alerts.map(record));
}

export function batchOf(first: number, records: readonly MadeRecord[]): MadeBatch {
  const seq = first + records.length - 1;
  const head = { seq, hash: records.at(-1)?.hash ?? "" };
  const packs = pack(records.map(({ bytes }) => bytes));
  const whole = { envelope: `{"envelope of":${seq}}`, nextKeyId: "k", records, packs };
  return { chain: "prod/cp-1/a", branch: 0, first, head, ...whole };
}

export async function enrol(store: Store, node = "cp-1", own = key()): Promise<StoredNode> {
  return await store.transact(
    async (tx) => await tx.enrol(name(node), own, { envelope: "{}", former: [], now }),
  );
}

export async function append(
  store: Store,
  node: StoredNode | undefined,
  ...batches: readonly NewBatch[]
): Promise<void> {
  await store.transact(async (tx) => {
    for (const one of batches) await tx.append(node?.id, one, now);
  });
}
