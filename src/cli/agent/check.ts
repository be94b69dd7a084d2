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
import { warnUnapproved, warnUncompared, warnUnseen, warnWeaker } from "../incomplete.ts";

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
  printChanges(settings.format, drift.changes);
  const incomplete = [
    warnUnapproved(drift.unapproved),
    warnWeaker(drift.weaker),
    warnUnseen(drift.unseen),
    warnUncompared(drift.uncompared),
  ].includes(true);
  const unexpected = drift.changes.filter(isDrift).length;
  const { rows, counter, at } = drift.statement;
  say(
    (unexpected === 0 ? "no drift" : `drift: ${unexpected} unexpected`) +
      (incomplete ? " in what could be compared," : "") +
      ` against baseline ${counter} (${rows} paths, ${at})`,
  );
  if (unexpected > 0) return exit.drift;
  return incomplete ? exit.incomplete : exit.fine;
}

/** Unreadable paths were not compared: list them, and the check is incomplete. */
function isDrift({ verdict, change }: JudgedChange): boolean {
  return verdict === "unexpected" && change.kind !== "unreadable";
}
