import { openEnrolment } from "../../core/record/enrolment.ts";
import type { Enrolment } from "../../core/record/enrolment.ts";
import { keyIdOf, parseEnvelope, publicKeyOf, rawPublicKey } from "../../core/record/dsse.ts";
import { digestsMatch, tokenDigest } from "./token.ts";
import type { Collector } from "../ingest/receive.ts";
import type { NodeKey, NodeName, StoredNode, Transaction } from "../store/store.ts";
import { nodeOf } from "../node-name.ts";
import { ownCluster } from "../own-chain.ts";

/** The body of POST /v1/enroll. */
export interface EnrolRequest {
  /** DSSE envelope of an Enrolment, by the key that it names. */
  readonly enrolment: unknown;
  readonly token?: string;
}

export type Enrolled =
  | { readonly kind: "enrolled"; readonly node: NodeName; readonly keyId: string }
  | { readonly kind: "refused"; readonly reason: string };

/** Milliseconds between a nonce and the request that uses it. */
const nonceAge = 120_000;

/** Makes a node's key known: it proves that it holds the key, and by a token that it is the node. */
export async function enrol(collector: Collector, request: EnrolRequest): Promise<Enrolled> {
  const proof = proofOf(collector, request);
  if ("reason" in proof) return { kind: "refused", reason: proof.reason };
  const { name, key } = proof;
  const enrolled = { kind: "enrolled", node: name, keyId: key.keyId } as const;
  return await collector.store.transact(async (tx): Promise<Enrolled> => {
    const known = await tx.node(name);
    // The answer to its first request was lost: the token is used, the key is already known.
    if (known?.keyId === key.keyId) return enrolled;
    const mayEnrol = await redeem(tx, request.token ?? "", { name, now: collector.clock() });
    if (!mayEnrol)
      return {
        kind: "refused",
        reason: "the token is not for this node, was used, or has expired",
      };
    await admit(collector, tx, { ...proof, known });
    return enrolled;
  });
}

interface Proof {
  readonly name: NodeName;
  readonly key: NodeKey;
  readonly former: readonly NodeKey[];
  readonly envelope: string;
}

function proofOf(
  { nonces }: Collector,
  { enrolment: given, token = "" }: EnrolRequest,
): Proof | { readonly reason: string } {
  const envelope = JSON.stringify(given) ?? "";
  const parsed = parseEnvelope(envelope);
  const opened = parsed && openEnrolment(parsed);
  if (!opened) return { reason: "the proof of the key does not hold" };
  const { enrolment, key, keyId } = opened;
  if (!nonces.isFresh(enrolment.nonce, nonceAge)) return { reason: "the nonce is not fresh" };
  if (!digestsMatch(enrolment.token, tokenDigest(token)))
    return { reason: "the proof is for another token" };
  const name = nameOf(enrolment);
  if (!name) return { reason: "expected the names of a node and its cluster" };
  const former = enrolment.former.map((one) => {
    const publicKey = Buffer.from(one, "base64");
    return { keyId: keyIdOf(publicKeyOf(publicKey)), publicKey };
  });
  return { name, key: { keyId, publicKey: rawPublicKey(key) }, former, envelope };
}

/** The names, if they can begin the id of a chain that is not a collector's own. */
function nameOf({ cluster, node }: Enrolment): NodeName | undefined {
  const name = nodeOf(`${cluster}/${node}/0`);
  return name?.cluster === ownCluster ? undefined : name;
}

async function redeem(
  tx: Transaction,
  token: string,
  { name, now }: { readonly name: NodeName; readonly now: number },
): Promise<boolean> {
  return token !== "" && (await tx.redeem(tokenDigest(token), name.node, now));
}

async function admit(
  { own, clock }: Collector,
  tx: Transaction,
  { name, key, known, former, envelope }: Proof & { readonly known: StoredNode | undefined },
): Promise<void> {
  const now = clock();
  const node = await tx.enrol(name, key, { envelope, former, now });
  if (!known) return;
  const reason = `it enrolled with the new key ${key.keyId}; its key was ${known.keyId}`;
  await own.raise(tx, { kind: "rekeyed", severity: "high", ...name, reason }, node.id);
}
