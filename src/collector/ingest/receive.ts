import type { Head } from "../../core/record/chain.ts";
import type { Checkpoints } from "../log/checkpoints.ts";
import type { Admission } from "../enroll/enroll.ts";
import { nodeOf } from "../node-name.ts";
import type { Nonces } from "../nonce.ts";
import type { OwnChain } from "../own-chain.ts";
import type { RateLimit } from "../rate-limit.ts";
import type { NodeName, Store } from "../store/store.ts";
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
  const { store, clock, own, nonces } = collector;
  const verifying = verifyAhead(collector, name, parts);
  const mayAlarm = once((budget: string) => collector.rejections.take(budget, 1) === 0);
  const timeOf = (nonce: string): number | undefined => nonces.timeOf(nonce);
  return await store.transact(async (tx) => {
    const ahead = await verifying;
    const sender = await Sender.find(tx, name, clock());
    const id = sender?.node.id;
    const raise: Receiving["raise"] = async (kind, severity, reason) =>
      await own.raise(tx, { kind, severity, ...name, reason }, id);
    const reply = sender
      ? await receiveAll({ tx, sender, raise, timeOf, ...options }, parts, ahead)
      : refused(unknown(name), undefined);
    await sender?.finish();
    if (reply.kind === "refused") await report(reply.error, { name, sender, raise, mayAlarm });
    return reply;
  }, verifying);
}

async function receiveAll(
  receiving: Receiving,
  parts: readonly Part[],
  ahead: ReadonlyMap<Part, Verified>,
): Promise<Reply> {
  let records = 0;
  let ack: Head | undefined;
  for (const part of parts) {
    const done =
      part.kind === "batch"
        ? await receiveBatch(receiving, part, ahead.get(part))
        : await receiveHeartbeat(receiving, part);
    if ("error" in done) return refused(done, ack);
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

/** The same answer when the transaction runs again: what it raised the first time was undone. */
function once(ask: (budget: string) => boolean): (budget: string) => boolean {
  let answer: boolean | undefined;
  return (budget) => (answer ??= ask(budget));
}

interface Refused extends Pick<Receiving, "raise"> {
  readonly name: NodeName;
  /** Undefined: no node of this name is enrolled. */
  readonly sender: Sender | undefined;
  readonly mayAlarm: (budget: string) => boolean;
}

/** Someone without the node's key, or without any, sends in its name: an alarm, but not one for each request. */
async function report(error: Refusal, { name, sender, raise, mayAlarm }: Refused): Promise<void> {
  if (error.error !== "signature" && error.error !== "unknown") return;
  // All unknown names share one budget: strangers may invent as many as they like.
  if (!mayAlarm(sender ? `${name.cluster}/${name.node}` : "")) return;
  const reason = `records in its name were refused: ${error.reason}`;
  await raise("rejected", sender ? "high" : "low", reason);
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
