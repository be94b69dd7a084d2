import { openEnrolment } from "../../core/record/enrolment.ts";
import type { Enrolment } from "../../core/record/enrolment.ts";
import { keyIdOf, parseEnvelope, publicKeyOf, rawPublicKey } from "../../core/record/dsse.ts";
import { digestsMatch, tokenDigest } from "./token.ts";
import type { Collector } from "../ingest/receive.ts";
import type { NodeKey, NodeName, StoredNode, Transaction } from "../store/store.ts";
import { isAuthorized } from "./authorized.ts";
import { isJwt } from "./review.ts";
import type { ReviewToken } from "./review.ts";
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
  const { token = "" } = request;
  const owner = await ownerOf(collector.admission, token, proof);
  return await collector.store.transact(async (tx): Promise<Enrolled> => {
    const known = await tx.node(name);
    // The answer to its first request was lost: the token is used, the key is already known.
    if (known?.keyId === key.keyId) return enrolled;
    const reason = await whyNot(tx, owner, { name, token, now: collector.clock() });
    if (reason !== undefined) return { kind: "refused", reason };
    await admit(collector, tx, { ...proof, known });
    return enrolled;
  });
}

/** By what a node may enrol, beside join tokens. */
export interface Admission {
  readonly serviceAccount?: { readonly cluster: string; readonly review: ReviewToken };
  /** Text of the file of authorized agents; read again for each request. */
  readonly authorized?: () => string;
}

/** "join": a join token decides, in the store. */
type Owner = NodeName | "join" | { readonly reason: string };

async function ownerOf(admission: Admission, token: string, proof: Proof): Promise<Owner> {
  const { serviceAccount, authorized } = admission;
  const { name, key } = proof;
  if (token === "")
    return authorized && isAuthorized(authorized(), name, key.publicKey)
      ? name
      : { reason: "there is no token, and the key is not listed as authorized" };
  if (!isJwt(token)) return "join";
  if (!serviceAccount) return { reason: "service accounts may not enrol here" };
  const owner = await serviceAccount.review(token);
  return "reason" in owner ? owner : { cluster: serviceAccount.cluster, node: owner.node };
}

interface Redeemed {
  readonly name: NodeName;
  readonly token: string;
  readonly now: number;
}

async function whyNot(
  tx: Transaction,
  owner: Owner,
  { name, token, now }: Redeemed,
): Promise<string | undefined> {
  if (owner === "join")
    return (await tx.redeem(tokenDigest(token), name.node, now))
      ? undefined
      : "the token is not for this node, was used, or has expired";
  if ("reason" in owner) return owner.reason;
  if (owner.node !== name.node || owner.cluster !== name.cluster)
    return `the token is for node ${owner.node} of cluster ${owner.cluster}`;
  const isNew = token === "" || (await tx.useOnce(tokenDigest(token), name.node, now));
  return isNew ? undefined : "the token was used to enrol another key";
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
