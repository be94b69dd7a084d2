import { IntegrityError } from "../../core/error.ts";
import { present } from "../../core/present.ts";
import { judgeBatch } from "../../core/record/verdict.ts";
import type { StoredChain, Verdict } from "../../core/record/verdict.ts";
import type { Head } from "../../core/record/chain.ts";
import type { Part } from "./body.ts";
import type { Done, Receiving } from "./receiving.ts";
import type { Sender } from "./sender.ts";
import { keysName } from "./verify.ts";
import type { Verified, VerifiedBatch } from "./verify.ts";

/** Branches that are kept of a chain as evidence; a stolen key must not fill the disk. */
const mostBranches = 16;

/** Judges a batch against the chain it names, and stores it. `ahead`: how its verification ended. Throws STATE_BUSY. */
export async function receiveBatch(
  at: Receiving,
  part: Part,
  ahead: Verified | undefined,
): Promise<Done> {
  // Only while its batch was verified did the node get another key: the agent sends it again.
  const { node } = at.sender;
  if (ahead?.keys !== keysName(node.keys))
    throw new IntegrityError("STATE_BUSY", `node ${node.node}: its keys have changed meanwhile`);
  const { result: verified } = ahead;
  if ("fault" in verified) return { error: "signature", reason: verified.fault };
  const { batch } = verified;
  const stored = await at.sender.chain(batch.chain);
  const verdict = stored ? await judge(at, verified, stored) : await judgeFirst(at, verified);
  if (!maySign(batch.key, at, stored) && verdict.kind !== "duplicate")
    return { error: "signature", reason: `${batch.key} was replaced before` };
  switch (verdict.kind) {
    case "duplicate":
      return { records: 0, head: stored?.head };
    case "append":
      if (stored) await noteReturn(at, batch.chain);
      return await append(at, verified, part);
    case "gap":
      return await refuseGap(at, verified, { part, expected: verdict.expected });
    case "fork":
      return await quarantine(at, verified, { part, verdict, stored });
  }
}

/**
 * A former key is good for what it signed before it was replaced, not for anything new. An agent may send a chain that
 * it had before it enrolled, and that began with a former key.
 */
function maySign(key: string, { sender }: Receiving, stored: StoredChain | undefined): boolean {
  const { node } = sender;
  if (stored) return key === stored.keyId;
  return key === node.keyId || node.chain === undefined;
}

async function judge(
  at: Receiving,
  { batch }: VerifiedBatch,
  stored: StoredChain,
): Promise<Verdict> {
  const { head } = stored;
  const hash = batch.last < head.seq ? await at.tx.hashOf(batch.chain, batch.last) : undefined;
  // The head is known although its batch is too old to be kept.
  return judgeBatch(batch, stored, (seq) => (seq === head.seq ? head.hash : hash));
}

/** The first batch of a chain. The agent may have had it before it enrolled, and begin in its middle. */
async function judgeFirst(
  { sender, raise }: Receiving,
  { batch }: VerifiedBatch,
): Promise<Verdict> {
  const { node } = sender;
  if (node.chain !== undefined)
    await raise(
      "rollback",
      "critical",
      `its state was lost: chain ${batch.chain} takes the place of ${node.chain}`,
    );
  return { kind: "append" };
}

async function noteReturn({ sender, raise }: Receiving, chain: string): Promise<void> {
  const { node } = sender;
  if (node.chain !== undefined && node.chain !== chain)
    await raise("rollback", "critical", `it went back to its former chain ${chain}`);
}

async function append(
  { sender, raise }: Receiving,
  verified: VerifiedBatch,
  part: Part,
): Promise<Done> {
  const { batch, nextKey, baseline } = verified;
  const head = await store(sender, verified, { part, branch: 0 });
  const isNews = nextKey && !sender.node.keys.some(({ keyId }) => keyId === nextKey.keyId);
  if (isNews) await sender.replaceKey(nextKey);
  sender.hear(present({ chain: batch.chain, baseline }));
  await sender.endAlarm("gap");
  if (await sender.endAlarm("silent")) await raise("heard", "info", "it is heard again");
  return { records: batch.last - batch.first + 1, head };
}

async function store(
  sender: Sender,
  { batch, records, packs, nextKey }: VerifiedBatch,
  { part, branch }: { readonly part: Part; readonly branch: number },
): Promise<Head> {
  const head = { seq: batch.last, hash: batch.head };
  const { chain, first } = batch;
  await sender.append({
    chain,
    branch,
    envelope: part.text,
    first,
    head,
    nextKeyId: nextKey?.keyId ?? batch.key,
    records,
    packs,
  });
  return head;
}

async function refuseGap(
  at: Receiving,
  verified: VerifiedBatch,
  { part, expected }: { readonly part: Part; readonly expected: number },
): Promise<Done> {
  const { sender, raise, lostFrom } = at;
  const missing = `records ${expected} to ${verified.batch.first - 1}`;
  if (lostFrom === expected) {
    await raise("gap", "critical", `${missing} are lost: the agent has them no more`);
    return await append(at, verified, part);
  }
  if (await sender.beginAlarm("gap"))
    await raise("gap", "high", `${missing} are missing; the agent is asked for them`);
  return { error: "gap", expected };
}

interface Forked {
  readonly part: Part;
  readonly verdict: Extract<Verdict, { kind: "fork" }>;
  readonly stored: StoredChain | undefined;
}

/** Keeps records that conflict with stored ones apart: nothing that a node has signed is lost. */
async function quarantine(
  at: Receiving,
  verified: VerifiedBatch,
  { part, verdict, stored }: Forked,
): Promise<Done> {
  const { tx, sender, raise } = at;
  const { batch } = verified;
  const { seq, branch } = verdict;
  const have = await tx.hashOf(batch.chain, seq);
  const refusal = { error: "fork", seq, have, quarantined: batch.last } as const;
  if (branch.kind === "known") return refusal;
  if (branch.kind === "continued") {
    await store(sender, verified, { part, branch: branch.number });
    return refusal;
  }
  const branches = stored?.branches.length ?? 0;
  if (branches >= mostBranches) return { ...refusal, quarantined: 0 };
  await store(sender, verified, { part, branch: branches + 1 });
  await raise(
    "fork",
    "critical",
    `record ${seq} differs from the one received before: a clone of the node, an old copy of its state, or a stolen key`,
  );
  await sender.beginAlarm("fork");
  return refusal;
}
