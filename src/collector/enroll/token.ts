import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

export { tokenDigest } from "../../core/record/enrolment.ts";

/** A secret of 256 bits that people can copy, with a prefix by which scanners for leaked secrets find it. */
export function makeSecret(prefix: "fimjoin" | "fimapi" | "fimpage"): string {
  return `${prefix}_${randomBytes(32).toString("base64url")}`;
}

/** Compares two digests in constant time. */
export function digestsMatch(a: string, b: string): boolean {
  const [left, right] = [a, b].map((one) => createHash("sha256").update(one).digest());
  return left !== undefined && right !== undefined && timingSafeEqual(left, right);
}
