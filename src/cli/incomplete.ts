import type { Unseen } from "../reconcile/full-sweep.ts";
import { printable } from "../core/path.ts";
import { weakeningText } from "../agent/policy-difference.ts";
import type { Weakening } from "../core/policy/weaker.ts";
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
    `fim-agent: incomplete: ${uncompared.length} could not be compared, unreadable when approved`,
  );
  for (const line of unseenLines(uncompared)) say(`  ${line}`);
  say("hint: look at them, then: fim-agent accept PATH --reason TEXT");
  return true;
}

/** Lists watched paths that were never approved, on stderr. True: there were some. */
export function warnUnapproved(paths: readonly string[]): boolean {
  if (paths.length === 0) return false;
  say(`fim-agent: incomplete: ${paths.length} are watched but were never approved`);
  for (const path of paths) say(`  ${printable(path)}`);
  say("hint: look at them, then: fim-agent accept PATH --reason TEXT");
  return true;
}

/** Says on stderr why approvals do not count. True: they do not. */
export function warnDistrust(why: string | undefined): boolean {
  if (why === undefined) return false;
  say("fim-agent: incomplete: what watch approved cannot be trusted, and counts as drift");
  say(`  ${why}`);
  say("hint: find out who altered the database; look with: fim-agent verify");
  return true;
}

/** Lists how the policy in force is weaker than the signed one, on stderr. True: it is. */
export function warnWeaker(weaker: readonly Weakening[]): boolean {
  if (weaker.length === 0) return false;
  say("fim-agent: incomplete: the policy in force is weaker than the one that was signed");
  for (const one of weaker) say(`  ${printable(weakeningText(one))}`);
  say("hint: find out who changed it; a planned change: fim-agent accept --policy --reason TEXT");
  return true;
}
