import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Failure } from "../../core/backoff.ts";

/** A service account's token is about 1 KiB. */
const mostTokenBytes = 16 * 1024;

/**
 * The token of a node. In a directory it is the file with the node's name, so that the pods of a DaemonSet can share
 * one Secret. Read for each attempt: the kubelet renews a service account's token.
 */
export function readJoinToken(path: string | undefined, node: string): string | Failure {
  if (path === undefined) return "";
  let file = path;
  try {
    if (statSync(path).isDirectory()) file = join(path, node);
    const text = readFileSync(file, "utf8").trim();
    if (text.length <= mostTokenBytes) return text;
    return { kind: "rejected", why: `join token ${file}: too long` };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { kind: "rejected", why: `join token ${file}: cannot be read (${code})` };
  }
}
