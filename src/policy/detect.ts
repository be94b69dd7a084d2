import { readFileSync } from "node:fs";
import { readPolicy } from "./compiled.ts";
import { invalidPolicy, policyFiles } from "./load.ts";
import type { Detect } from "./parse.ts";

/** The policy for a node that no other fits. */
const fallback = "linux";

/** The inputs of the choice. */
interface Recognition {
  /** Whether a path exists on the node, confined to its root. */
  readonly exists: (path: string) => boolean;
  /**
   * The policies under which the node's baseline was approved. They stay: otherwise an attacker who removes the file
   * that identifies the node would end the watch of the rest.
   */
  readonly approved: readonly string[];
}

/** The policy whose `detect` fits the node best: more paths in `all` are more specific, then the earlier name. */
export async function detectPolicy(
  dirs: readonly string[],
  { exists, approved }: Recognition,
): Promise<string> {
  const fitting = new Map<string, number>();
  for (const [name, file] of policyFiles(dirs)) {
    const { policy, problems } = await readPolicy(readFileSync(file, "utf8"), file);
    if (!policy) throw invalidPolicy([name], problems);
    if (policy.detect && approved.includes(name)) return name;
    if (policy.detect && fits(policy.detect, exists)) fitting.set(name, policy.detect.all.length);
  }
  const [best] = [...fitting].toSorted(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return best?.[0] ?? fallback;
}

function fits({ all, any, none }: Detect, exists: (path: string) => boolean): boolean {
  return all.every(exists) && (any.length === 0 || any.some(exists)) && !none.some(exists);
}
