import { isAtLeast } from "../policy/rule.ts";
import type { Severity } from "../policy/rule.ts";

/** Alerts that one rule may raise singly before the rest is folded into one. */
interface FoldLimits {
  readonly burst: number;
  readonly perSecond: number;
}

export const foldLimits: FoldLimits = { burst: 200, perSecond: 5 };

/** A token bucket: its level, and when (milliseconds) it had that. */
export interface Bucket {
  readonly tokens: number;
  readonly at: number;
}

/** Takes one token if there is one. High and critical changes never need one: see `mayFold`. */
export function spend(
  bucket: Bucket | undefined,
  now: number,
  limits: FoldLimits = foldLimits,
): { readonly bucket: Bucket; readonly single: boolean } {
  const elapsed = bucket ? Math.max(0, now - bucket.at) : 0;
  const filled = bucket
    ? Math.min(limits.burst, bucket.tokens + (elapsed / 1000) * limits.perSecond)
    : limits.burst;
  const single = filled >= 1;
  return { bucket: { tokens: single ? filled - 1 : filled, at: now }, single };
}

export function mayFold(severity: Severity): boolean {
  return !isAtLeast(severity, "high");
}
