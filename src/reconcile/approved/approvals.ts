import type { JudgedChange } from "../../core/change/change.ts";
import type { Look } from "../../core/change/compare.ts";
import { parseRow, rowOf } from "../../core/change/observation.ts";
import type { Observation } from "../../core/change/observation.ts";
import { isBelow } from "../../core/path.ts";
import type { ApprovedState } from "../../core/record/approval.ts";
import type { State } from "../../node/state.ts";
import { isStale } from "../look.ts";

/**
 * The states that become approved with these changes, because an allowed writer left them. `isInOrder`: whether what
 * was at the path before was approved too; where it was not, a stranger's part of it must not become approved.
 */
export function approvalsOf(
  looks: readonly Look[],
  changes: readonly JudgedChange[],
  isInOrder: (look: Look) => boolean,
): readonly ApprovedState[] {
  const approved = changes.filter((one) => one.byAllowedWriter);
  if (approved.length === 0) return [];
  const refused = new Set(
    changes.filter((one) => !one.byAllowedWriter).flatMap(({ change }) => namesOf(change)),
  );
  const byName = new Map(
    approved.flatMap((one) => namesOf(one.change).map((name) => [name, one] as const)),
  );
  const moved = approved.filter(({ change }) => "count" in change && change.count !== undefined);
  const byPath = new Map(looks.map((look) => [look.path, look]));
  return looks.filter(isStale).flatMap((look) => {
    const { path, after } = look;
    const by = byName.get(path) ?? moved.find((one) => carries(one, path));
    if (!by?.actor || refused.has(path)) return [];
    const source = byPath.get(sourceOf(by.change, path) ?? path);
    if (after && !(isInOrder(look) && source && isInOrder(source))) return [];
    const { pid, exe } = by.actor;
    const writer = { pid, ...(exe !== undefined && { exe }) };
    const row = after && rowOf(after);
    // A link's target that is not UTF-8 has no portable form: a person approves it.
    if (row !== undefined && /\\ud[c-f]/iu.test(row)) return [];
    return [{ path, rule: by.rule, writer, at: by.at, ...(row !== undefined && { row }) }];
  });
}

interface ApprovedStates {
  readonly approvals: Pick<State["approvals"], "get">;
  readonly baseline: { readonly rows: Pick<State["baseline"]["rows"], "get"> };
}

/** What was approved last at a path: by `watch` since the baseline, else by a person. */
export function approvedAt(
  { approvals, baseline }: ApprovedStates,
  path: string,
): Observation | undefined {
  const approval = approvals.get(path);
  if (!approval) return baseline.rows.get(path);
  return approval.row === undefined ? undefined : parseRow(approval.row);
}

/** A look at a path, compared with what was approved last instead of with the baseline. */
export function sinceApproval({ path, after }: Look, { row }: ApprovedState): Look {
  return { path, ...(row !== undefined && { before: parseRow(row) }), ...(after && { after }) };
}

/** The path, and the old name of a rename. */
export function namesOf(change: JudgedChange["change"]): readonly string[] {
  return "from" in change ? [change.path, change.from] : [change.path];
}

/** The name from which a rename brought the path. */
function sourceOf(change: JudgedChange["change"], path: string): string | undefined {
  if (change.kind !== "renamed") return undefined;
  const isMoved = path === change.path || isBelow(path, change.path);
  return isMoved ? change.from + path.slice(change.path.length) : undefined;
}

/** What a renamed directory carries along has no change of its own. */
function carries({ change }: JudgedChange, path: string): boolean {
  return namesOf(change).some((name) => isBelow(path, name));
}
