import type { Database } from "better-sqlite3";
import { compare } from "../core/change/compare.ts";
import { judge } from "../core/change/judge.ts";
import { parseRow } from "../core/change/observation.ts";
import { decodePath, nameOf, parentOf } from "../core/path.ts";
import type { RuleIndex, Severity } from "../core/policy/rule.ts";

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
  const count: DriftCount = { info: 0, low: 0, medium: 0, high: 0, critical: 0 };
  for (const { path: bytes, before, after } of db.prepare<[], Differing>(differing).iterate()) {
    const path = decodePath(bytes);
    const rule = index.find(path)?.rule;
    const change = compare({
      path,
      ...(before !== null && { before: parseRow(before) }),
      ...(after !== null && { after: parseRow(after) }),
    });
    if (!rule || !change) continue;
    const siblings = rule.class === "sealed" ? siblingsOf(db, path) : [];
    const judged = judge(change, rule, { siblings });
    if (judged?.verdict === "unexpected") count[judged.severity] += 1;
  }
  return count;
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
