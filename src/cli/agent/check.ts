import { isAtLeast } from "../../core/policy/rule.ts";
import type { Severity } from "../../core/policy/rule.ts";
import { findDrift } from "../../agent/commands/check.ts";
import { openNode } from "../../node/node.ts";
import type { Settings } from "../../config/settings.ts";
import { openState } from "../../node/state.ts";
import type { JudgedChange } from "../../core/change/change.ts";
import { exit } from "../fail.ts";
import type { Exit } from "../fail.ts";
import { pathsOf } from "../arguments.ts";
import { say } from "../print.ts";
import { printChanges } from "../table.ts";
import { ProgressLine } from "../progress.ts";
import {
  warnDistrust,
  warnUnapproved,
  warnUncompared,
  warnUnseen,
  warnWeaker,
} from "../incomplete.ts";

/** `check [PATH…]` */
export async function check(
  settings: Settings,
  given: Readonly<Record<string, unknown>>,
): Promise<Exit> {
  using node = await openNode(settings);
  using state = openState(settings);
  using progress = new ProgressLine(state.baseline.rows.count());
  const paths = pathsOf(given);
  const drift = await findDrift(node, state, { paths, onProgress: progress.update });
  progress[Symbol.dispose]();
  const least = (given["min-severity"] ?? "info") as Severity;
  const isListed = ({ severity }: JudgedChange): boolean => isAtLeast(severity, least);
  const unexpected = drift.changes.filter(({ verdict }) => verdict === "unexpected");
  const all = given["all"] === true ? [...drift.changes, ...drift.approved] : unexpected;
  printChanges(settings.format, all.filter(isListed));
  const incomplete = [
    warnUnapproved(drift.unapproved),
    warnWeaker(drift.weaker),
    warnUnseen(drift.unseen),
    warnUncompared(drift.uncompared),
    warnDistrust(drift.distrust),
  ].includes(true);
  const drifting = unexpected.filter(isDrift);
  const count = drifting.filter(isListed).length;
  const below = drifting.length - count;
  const { rows, counter, at } = drift.statement;
  const since = drift.approved.length;
  say(
    (count === 0 ? "no drift" : `drift: ${count} unexpected`) +
      (below === 0 ? "" : ` and ${below} below ${least}`) +
      (incomplete ? " in what could be compared," : "") +
      ` against baseline ${counter} (${rows} paths, ${at})` +
      (since === 0 ? "" : `; ${since} approved since then, listed by --all`),
  );
  if (count > 0) return exit.drift;
  return incomplete ? exit.incomplete : exit.fine;
}

/** Unreadable paths were not compared: list them, and the check is incomplete. */
function isDrift({ change }: JudgedChange): boolean {
  return change.kind !== "unreadable";
}
