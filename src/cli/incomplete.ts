import type { Unseen } from "../reconcile/full-sweep.ts";
import { printable } from "../core/path.ts";
import { say } from "./print.ts";

export function unseenLines(unseen: readonly Unseen[]): readonly string[] {
  return unseen.map(({ path, errno }) => `${printable(path)}: ${errno}`);
}

/** Lists unreadable paths on stderr. True: there were some. */
export function warnUnseen(unseen: readonly Unseen[]): boolean {
  if (unseen.length === 0) return false;
  say(`fim-agent: incomplete: ${unseen.length} could not be read`);
  for (const line of unseenLines(unseen)) say(`  ${line}`);
  say("hint: run as root with CAP_DAC_READ_SEARCH, or exclude these paths in the policy");
  return true;
}

/** Lists paths that were unreadable when approved, on stderr. True: there were some. */
export function warnUncompared(uncompared: readonly Unseen[]): boolean {
  if (uncompared.length === 0) return false;
  say(
    `fim-agent: incomplete: ${uncompared.length} could not be compared, for they could not be read when they were approved`,
  );
  for (const line of unseenLines(uncompared)) say(`  ${line}`);
  say("hint: look at them, then: fim-agent accept PATH --reason TEXT");
  return true;
}
