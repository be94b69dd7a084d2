import type { Rule } from "./rule.ts";

/** The key order of a rule in the canonical form. */
const keys: (keyof Rule)[] = [
  "id",
  "paths",
  "exclude",
  "class",
  "severity",
  "why",
  "mode",
  "owner",
  "writers",
  "containerWriters",
  "content",
  "validators",
  "cis",
  "attack",
];

/**
 * The canonical form of a merged policy (docs/formats.md): the JSON of its rules in merging order, each with its keys in
 * one order and every default filled in. Its SHA-256 is the policy's digest.
 */
export function canonicalRules(rules: readonly Rule[]): string {
  return JSON.stringify(rules, keys);
}
