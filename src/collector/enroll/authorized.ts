import { Buffer } from "node:buffer";
import { timingSafeEqual } from "node:crypto";
import type { NodeName } from "../store/store.ts";

/**
 * Whether a file lists this key for this node. Each line is "<cluster>/<node> <base64 of the public key>", as
 * `fim-agent key show` prints the key; blank lines and lines that begin with "#" are comments.
 */
export function isAuthorized(
  text: string,
  { cluster, node }: NodeName,
  publicKey: Buffer,
): boolean {
  return text.split("\n").some((line) => {
    const [name, key = ""] = line.trim().split(/\s+/);
    const listed = Buffer.from(key.replace(/^whpk_/, ""), "base64");
    return (
      name === `${cluster}/${node}` &&
      listed.length === publicKey.length &&
      timingSafeEqual(listed, publicKey)
    );
  });
}
