import type { Database } from "better-sqlite3";
import { compare } from "../core/change/compare.ts";
import type { Look } from "../core/change/compare.ts";
import { judge } from "../core/change/judge.ts";
import { parseRow } from "../core/change/observation.ts";
import { decodePath, nameOf, parentOf } from "../core/path.ts";
import type { RuleIndex, Severity } from "../core/policy/rule.ts";
import type { State } from "../node/state.ts";

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

/** How many paths were last seen otherwise than the baseline has them, without an approval by their rule. */
export function countDrift(db: Database, index: RuleIndex): DriftCount {
  return tally(Array.from(driftOf(db, index), ({ severity }) => severity));
}

/** The same for a running agent: reads all once, then follows the commits. */
export class Drift {
  readonly #state: Pick<State, "db" | "baseline" | "current">;
  readonly #index: RuleIndex;
  readonly #drifting = new Map<string, Severity>();
  /** Of the baseline that was compared. */
  #counter = -1;

  constructor(state: Pick<State, "db" | "baseline" | "current">, index: RuleIndex) {
    this.#state = state;
    this.#index = index;
  }

  count(): DriftCount {
    const counter = this.#state.baseline.counter();
    if (counter !== this.#counter) {
      this.#drifting.clear();
      for (const { path, severity } of driftOf(this.#state.db, this.#index))
        this.#drifting.set(path, severity);
      this.#counter = counter;
    }
    return tally(this.#drifting.values());
  }

  /** Call it after a commit, with its paths. */
  learn(looks: readonly Pick<Look, "path">[]): void {
    const { db, baseline, current } = this.#state;
    for (const { path } of looks) {
      const [before, after] = [baseline.rows.get(path), current.get(path)];
      const look = { path, ...(before && { before }), ...(after && { after }) };
      const severity = severityOf(look, { db, index: this.#index });
      if (severity) this.#drifting.set(path, severity);
      else this.#drifting.delete(path);
    }
  }
}

function tally(all: Iterable<Severity>): DriftCount {
  const count: DriftCount = { info: 0, low: 0, medium: 0, high: 0, critical: 0 };
  for (const severity of all) count[severity] += 1;
  return count;
}

function* driftOf(
  db: Database,
  index: RuleIndex,
): Generator<{ readonly path: string; readonly severity: Severity }> {
  for (const { path: bytes, before, after } of db.prepare<[], Differing>(differing).iterate()) {
    const path = decodePath(bytes);
    const look = {
      path,
      ...(before !== null && { before: parseRow(before) }),
      ...(after !== null && { after: parseRow(after) }),
    };
    const severity = severityOf(look, { db, index });
    if (severity) yield { path, severity };
  }
}

/** Undefined: no drift. */
function severityOf(
  look: Look,
  { db, index }: { readonly db: Database; readonly index: RuleIndex },
): Severity | undefined {
  const rule = index.find(look.path)?.rule;
  const change = compare(look);
  if (!rule || !change) return undefined;
  const siblings = rule.class === "sealed" ? siblingsOf(db, look.path) : [];
  const judged = judge(change, rule, { siblings });
  return judged?.verdict === "unexpected" ? judged.severity : undefined;
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
