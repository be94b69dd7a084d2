import type { Head } from "../../core/record/chain.ts";
import type { AlarmKind } from "../../core/record/finding.ts";
import type { Severity } from "../../core/policy/rule.ts";
import type { Checkpoints } from "../log/checkpoints.ts";
import type { Admission } from "../enroll/enroll.ts";
import { nodeOf } from "../node-name.ts";
import type { Nonces } from "../nonce.ts";
import type { OwnChain } from "../own-chain.ts";
import type { RateLimit } from "../rate-limit.ts";
import type { NodeName, Store, Transaction } from "../store/store.ts";
import { receiveBatch } from "./batch.ts";
import { receiveHeartbeat } from "./beat.ts";
import type { Part } from "./body.ts";
import type { Receiving, Refusal } from "./receiving.ts";
import { Sender } from "./sender.ts";
import type { Verifier } from "./verifier.ts";
import type { Verified } from "./verify.ts";

export interface Collector {
  readonly store: Store;
  readonly own: OwnChain;
  readonly nonces: Nonces;
  readonly checkpoints: Checkpoints;
  readonly admission: Admission;
  readonly verifier: Verifier;
  /** How often refusals for one node become an alarm. */
  readonly rejections: RateLimit;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

/** How a request's parts ended: what is stored of the chain, or the first refusal. */
export type Reply =
  | { readonly kind: "stored"; readonly ack: Head | undefined; readonly records: number }
  | { readonly kind: "refused"; readonly error: Refusal; readonly ack: Head | undefined };

/** Stores the parts of a request in order, in one transaction, up to the first that is refused. */
export async function receive(
  collector: Collector,
  parts: readonly Part[],
  options: { readonly lostFrom?: number } = {},
): Promise<Reply> {
  const name = nodeOf(parts[0]?.chain ?? "");
  if (!name || parts.some(({ chain }) => !isOf(chain, name)))
    return refused({ error: "malformed", reason: "expected the chains of one node" }, undefined);
  const { store, clock } = collector;
  const verifying = verifyAhead(collector, name, parts);
  const mayAlarm = once((budget: string) => collector.rejections.take(budget, 1) === 0);
  return await store.transact(async (tx) => {
    const ahead = await verifying;
    const sender = await Sender.find(tx, name, clock());
    if (!sender) return await reject(collector, tx, { name, error: unknown(name), mayAlarm });
    const reply = await receiveAll({ collector, tx, sender, mayAlarm, options }, parts, ahead);
    await sender.finish();
    return reply;
  }, verifying);
}

interface Request {
  readonly collector: Collector;
  readonly tx: Transaction;
  readonly sender: Sender;
  readonly mayAlarm: Rejected["mayAlarm"];
  readonly options: Pick<Receiving, "lostFrom">;
}

async function receiveAll(
  { collector, tx, sender, mayAlarm, options }: Request,
  parts: readonly Part[],
  ahead: ReadonlyMap<Part, Verified>,
): Promise<Reply> {
  const { cluster, node } = sender.node;
  const name = { cluster, node };
  const { id } = sender.node;
  const raise = async (kind: AlarmKind, severity: Severity, reason: string): Promise<void> =>
    await collector.own.raise(tx, { kind, severity, ...name, reason }, id);
  const timeOf = (nonce: string): number | undefined => collector.nonces.timeOf(nonce);
  const receiving = { tx, sender, raise, timeOf, ...options };
  let records = 0;
  let ack: Head | undefined;
  for (const part of parts) {
    const done =
      part.kind === "batch"
        ? await receiveBatch(receiving, part, ahead.get(part))
        : await receiveHeartbeat(receiving, part);
    if ("error" in done)
      return await reject(collector, tx, { name, node: id, error: done, ack, mayAlarm });
    records += done.records;
    ack = done.head ?? ack;
  }
  return { kind: "stored", ack, records };
}

/** Verifies the batches before the transaction, which others wait for, and on another thread. */
async function verifyAhead(
  { store, clock, verifier }: Collector,
  name: NodeName,
  parts: readonly Part[],
): Promise<ReadonlyMap<Part, Verified>> {
  const batches = parts.filter(({ kind }) => kind === "batch");
  const keys = batches.length > 0 ? await store.keysOf(name) : [];
  if (keys.length === 0) return new Map();
  const bare = batches.map(({ chain, envelope, records }) => ({ chain, envelope, records }));
  const verified = await verifier.verify({ keys, parts: bare, received: clock() });
  return new Map(verified.flatMap((one, index) => (batches[index] ? [[batches[index], one]] : [])));
}

interface Rejected {
  readonly name: NodeName;
  /** Its id; undefined: it is not enrolled. */
  readonly node?: number;
  readonly error: Refusal;
  readonly ack?: Head | undefined;
  readonly mayAlarm: (budget: string) => boolean;
}

/** The same answer when the transaction runs again: what it raised the first time was undone. */
function once(ask: (budget: string) => boolean): (budget: string) => boolean {
  let answer: boolean | undefined;
  return (budget) => (answer ??= ask(budget));
}

/** Someone without the node's key, or without any, sends in its name: an alarm, but not one for each request. */
async function reject(
  { own }: Collector,
  tx: Transaction,
  { name, node, error, ack, mayAlarm }: Rejected,
): Promise<Reply> {
  if (error.error !== "signature" && error.error !== "unknown") return refused(error, ack);
  // All unknown names share one budget: strangers may invent as many as they like.
  const budget = node !== undefined ? `${name.cluster}/${name.node}` : "";
  if (mayAlarm(budget)) {
    const severity = node !== undefined ? "high" : "low";
    const reason = `records in its name were refused: ${error.reason}`;
    await own.raise(tx, { kind: "rejected", severity, ...name, reason }, node);
  }
  return refused(error, ack);
}

function refused(error: Refusal, ack: Head | undefined): Reply {
  return { kind: "refused", error, ack };
}

function unknown({ cluster, node }: NodeName): Refusal {
  return { error: "unknown", reason: `node ${node} of cluster ${cluster} is not enrolled` };
}

function isOf(chain: string, { cluster, node }: NodeName): boolean {
  return chain.startsWith(`${cluster}/${node}/`);
}
