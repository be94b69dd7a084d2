import type { Step } from "../../core/change/hint.ts";
import type { Bit, FanotifyEvent, NamedEntry } from "../../linux/fanotify.ts";

/** One event can hold several steps in unknown order; hints follow this order. */
const stepOrder: readonly (readonly [Step, readonly Bit[]])[] = [
  ["created", ["create"]],
  ["modified", ["modify"]],
  ["attributes", ["attrib"]],
  ["closed", ["closeWrite"]],
  ["renamed", ["rename", "movedFrom", "movedTo", "moveSelf"]],
  ["deleted", ["delete", "deleteSelf"]],
];
/** Steps that concern an inode, under any of its names. */
export const inodeSteps: readonly Step[] = ["modified", "attributes", "closed"];

const knownSteps = new Map<readonly Bit[], readonly Step[]>();

export function stepsOf(bits: readonly Bit[]): readonly Step[] {
  const known = knownSteps.get(bits);
  if (known) return known;
  const steps = stepOrder
    .filter(([, any]) => any.some((bit) => bits.includes(bit)))
    .map(([step]) => step);
  if (knownSteps.size < 1000) knownSteps.set(bits, steps);
  return steps;
}

export function appeared(bits: readonly Bit[]): boolean {
  return bits.includes("create") || bits.includes("movedTo");
}

export function isReplaced({ bits, isDirectory }: FanotifyEvent): boolean {
  return isDirectory && bits.includes("movedFrom") && appeared(bits);
}

export function oldEntryOf({ entry }: FanotifyEvent): { readonly oldEntry?: NamedEntry } {
  return entry ? { oldEntry: entry } : {};
}
