import type { Database } from "better-sqlite3";
import { compare } from "../../core/change/compare.ts";
import type { Look } from "../../core/change/compare.ts";
import { judge } from "../../core/change/judge.ts";
import { parseRow } from "../../core/change/observation.ts";
import type { Observation } from "../../core/change/observation.ts";
import { decodePath, nameOf, parentOf } from "../../core/path.ts";
import type { RuleIndex, Severity } from "../../core/policy/rule.ts";
import type { State } from "../../node/state.ts";
import type { Approvals } from "../../outbox/approvals.ts";
import { sinceApproval } from "./approvals.ts";

export type DriftCount = Record<Severity, number>;

interface Differing {
  readonly path: Buffer;
  readonly before: string | null;
  readonly after: string | null;
}

const differing = `
  SELECT b.path AS path, CAST(b.row AS TEXT) AS before, CAST(c.row AS TEXT) AS after
  FROM baseline b LEFT JOIN current c ON c.path = b.path WHERE c.row IS NOT b.row
  UNION ALL
  SELECT c.path, NULL, CAST(c.row AS TEXT) FROM current c
  WHERE NOT EXISTS (SELECT 1 FROM baseline b WHERE b.path = c.path)`;

const names = "SELECT path FROM current WHERE path > CAST(? AS BLOB) AND path < CAST(? AS BLOB)";

/** Where drift is found: the state, and the rules that say what counts. */
interface Place {
  readonly db: Database;
  readonly approvals: Pick<Approvals, "get">;
  readonly index: RuleIndex;
}

/** How many paths were last seen otherwise than they are approved, by a person or by their rule. */
export function countDrift(place: Place): DriftCount {
  return tally(Array.from(driftOf(place), ({ severity }) => severity));
}

type DriftState = Pick<State, "db" | "baseline" | "current" | "approvals">;

/** The same for a running agent: reads all once, then follows the commits. */
export class Drift {
  readonly #state: DriftState;
  readonly #place: Place;
  readonly #drifting = new Map<string, Severity>();
  /** Of the baseline that was compared. */
  #counter = -1;

  constructor(state: DriftState, index: RuleIndex) {
    this.#state = state;
    this.#place = { db: state.db, approvals: state.approvals, index };
  }

  count(): DriftCount {
    const counter = this.#state.baseline.counter();
    if (counter !== this.#counter) {
      this.#drifting.clear();
      for (const { path, severity } of driftOf(this.#place)) this.#drifting.set(path, severity);
      this.#counter = counter;
    }
    return tally(this.#drifting.values());
  }

  /** Call it after a commit, with its paths. */
  learn(looks: readonly Pick<Look, "path">[]): void {
    for (const { path } of looks) {
      const severity = this.#severityAt(path, this.#state.current.get(path));
      if (severity) this.#drifting.set(path, severity);
      else this.#drifting.delete(path);
    }
  }

  /** What was at the path before is approved. */
  wasInOrder({ path, before }: Look): boolean {
    return this.#severityAt(path, before) === undefined;
  }

  #severityAt(path: string, after: Observation | undefined): Severity | undefined {
    const before = this.#state.baseline.rows.get(path);
    return severityOf({ path, ...(before && { before }), ...(after && { after }) }, this.#place);
  }
}

function tally(all: Iterable<Severity>): DriftCount {
  const count: DriftCount = { info: 0, low: 0, medium: 0, high: 0, critical: 0 };
  for (const severity of all) count[severity] += 1;
  return count;
}

function* driftOf(place: Place): Generator<{ readonly path: string; readonly severity: Severity }> {
  for (const { path: bytes, before, after } of place.db
    .prepare<[], Differing>(differing)
    .iterate()) {
    const path = decodePath(bytes);
    const look = {
      path,
      ...(before !== null && { before: parseRow(before) }),
      ...(after !== null && { after: parseRow(after) }),
    };
    const severity = severityOf(look, place);
    if (severity) yield { path, severity };
  }
}

/** Of a look whose `before` is the baseline's. Undefined: no drift. */
function severityOf(look: Look, { db, approvals, index }: Place): Severity | undefined {
  const rule = index.find(look.path)?.rule;
  const approval = approvals.get(look.path);
  const siblings = rule?.class === "sealed" ? siblingsOf(db, look.path) : [];
  const judgedIn = (one: Look): Severity | undefined => {
    const change = compare(one);
    const judged = rule && change && judge(change, rule, { siblings });
    return judged?.verdict === "unexpected" ? judged.severity : undefined;
  };
  return judgedIn(look) && judgedIn(approval ? sinceApproval(look, approval) : look);
}

/** Names of the other files of the directory. */
function siblingsOf(db: Database, path: string): readonly string[] {
  const directory = parentOf(path);
  return db
    .prepare<[string, string], Buffer>(names)
    .pluck()
    .all(`${directory}/`, `${directory}0`)
    .map(decodePath)
    .filter((one) => one !== path && parentOf(one) === directory)
    .map(nameOf);
}
