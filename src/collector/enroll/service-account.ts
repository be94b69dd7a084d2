import { fieldsOf, listAt, textAt } from "../../core/record/fields.ts";

/** Whose tokens let a node enrol. */
export interface ServiceAccount {
  readonly namespace: string;
  readonly name: string;
  /** A token for any other audience is refused. */
  readonly audience: string;
  /** The cluster whose API server made the tokens: a node of no other cluster can enrol with them. */
  readonly cluster: string;
}

/** The node that a token is for, or why it is for none. */
export type TokenOwner = { readonly node: string } | { readonly reason: string };

/** A pod, where the token does not name its node: before Kubernetes 1.32 (KEP-4193). */
export interface PodName {
  readonly namespace: string;
  readonly pod: string;
}

const extra = "authentication.kubernetes.io";

/** Reads a TokenReview's status (authentication.k8s.io/v1). */
export function ownerOfReview(
  review: unknown,
  account: ServiceAccount,
): TokenOwner | { readonly pod: PodName } {
  const status = fieldsOf(fieldsOf(review)["status"]);
  if (status["authenticated"] !== true) return { reason: "the API server refuses the token" };
  if (!listAt(status, "audiences").includes(account.audience))
    return { reason: `the token is not for the audience ${account.audience}` };
  const user = fieldsOf(status["user"]);
  if (textAt(user, "username") !== userName(account)) return { reason: notOf(account) };
  const [node] = listAt(user, "extra", `${extra}/node-name`);
  if (typeof node === "string") return { node };
  const [pod] = listAt(user, "extra", `${extra}/pod-name`);
  return typeof pod === "string"
    ? { pod: { namespace: account.namespace, pod } }
    : { reason: "the token is bound to no pod and no node" };
}

/** Reads the verified claims of a token. */
export function ownerOfClaims(claims: unknown, account: ServiceAccount): TokenOwner {
  const kubernetes = fieldsOf(fieldsOf(claims)["kubernetes.io"]);
  const isOf =
    textAt(claims, "sub") === userName(account) &&
    textAt(kubernetes, "namespace") === account.namespace;
  if (!isOf) return { reason: notOf(account) };
  const node = textAt(kubernetes, "node", "name");
  return node === undefined
    ? { reason: "the token names no node: offline, tokens of Kubernetes 1.32 or newer are needed" }
    : { node };
}

function userName({ namespace, name }: ServiceAccount): string {
  return `system:serviceaccount:${namespace}:${name}`;
}

function notOf({ namespace, name }: ServiceAccount): string {
  return `the token is not of the service account ${namespace}/${name}`;
}
