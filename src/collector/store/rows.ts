import { severities } from "../../core/policy/rule.ts";
import { present } from "../../core/present.ts";
import { unpack } from "./packed.ts";
import type { Pack } from "./packed.ts";
import type { NodeKey, StoredAlert, StoredNode, StoredProof } from "./store.ts";

export interface NodeRow {
  readonly id: number;
  readonly cluster: string;
  readonly name: string;
  readonly key_id: string;
  readonly chain: string | null;
  readonly enrolled: number;
  readonly heard: number;
  readonly heartbeat: string | null;
  readonly baseline: string | null;
}

export const nodeColumns = "id, cluster, name, key_id, chain, enrolled, heard, heartbeat, baseline";

export interface KeyRow {
  readonly node: number;
  readonly key_id: string;
  readonly public_key: Buffer;
}

export function toNode(row: NodeRow, keys: readonly KeyRow[]): StoredNode {
  const { id, cluster, name: node, enrolled, heard } = row;
  return present({
    id,
    cluster,
    node,
    keyId: row.key_id,
    keys: keys.map(toKey),
    chain: row.chain ?? undefined,
    enrolled,
    heard,
    heartbeat: row.heartbeat ?? undefined,
    baseline: row.baseline ?? undefined,
  });
}

export function toKey({ key_id: keyId, public_key: publicKey }: KeyRow): NodeKey {
  return { keyId, publicKey };
}

export interface AlertRow {
  readonly id: number;
  readonly uid: string;
  readonly cluster: string | null;
  readonly node: string | null;
  readonly type: string;
  readonly severity: number;
  readonly change: string | null;
  readonly path: string | null;
  readonly rule: string | null;
  readonly incident: string | null;
  readonly pod: string | null;
  readonly program: string | null;
  readonly at: number;
  readonly received: number;
  readonly acknowledged: number;
  /** Number of the first record of the pack that holds its record. */
  readonly pack: number;
}

export interface PackRow {
  /** Number of its first record. */
  readonly id: number;
  readonly bytes: Buffer;
}

export type ProofRow = Omit<StoredProof, "records"> & {
  readonly leaf: number;
  readonly last: number;
};

/** The packs of a batch with their numbers. */
export function packRows(packs: readonly Pack[], first: number): readonly PackRow[] {
  let next = first;
  return packs.map(({ count, bytes }) => {
    const id = next;
    next += count;
    return { id, bytes };
  });
}

/** The records of one batch from its packs, in order. */
export function recordsOf(packs: readonly PackRow[]): readonly Buffer[] {
  return packs.flatMap(({ bytes }) => unpack(bytes));
}

/** Alerts with the bytes of their records; empty where a pack was altered and has none. Unpacks each pack once. */
export function toAlerts(
  rows: readonly AlertRow[],
  packs: readonly PackRow[],
): readonly StoredAlert[] {
  const records = new Map(packs.map(({ id, bytes }) => [id, unpack(bytes)]));
  return rows.map((row) =>
    toAlert(row, records.get(row.pack)?.[row.id - row.pack] ?? Buffer.alloc(0)),
  );
}

function toAlert(row: AlertRow, bytes: Buffer): StoredAlert {
  const { id, uid, type, at, received } = row;
  return present({
    id,
    uid,
    cluster: row.cluster ?? undefined,
    node: row.node ?? undefined,
    type,
    severity: severities[row.severity] ?? "critical",
    change: row.change ?? undefined,
    path: row.path ?? undefined,
    rule: row.rule ?? undefined,
    incident: row.incident ?? undefined,
    pod: row.pod ?? undefined,
    program: row.program ?? undefined,
    at,
    received,
    acknowledged: row.acknowledged === 1,
    bytes,
  });
}
