import type { NodeName } from "./store/store.ts";

/** "<cluster>/<node>/<epoch>" -> its node. */
export function nodeOf(chain: string): NodeName | undefined {
  const [, cluster, node] = /^([\w.-]{1,253})\/([\w.-]{1,253})\/[\w.-]{1,64}$/.exec(chain) ?? [];
  return cluster !== undefined && node !== undefined ? { cluster, node } : undefined;
}
