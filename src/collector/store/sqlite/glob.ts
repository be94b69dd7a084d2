import type { Database } from "better-sqlite3";
import type { AlertQuery } from "../store.ts";
import { endOf, ranksWanted, run, whereOf } from "./parts.ts";
import type { Part } from "./parts.ts";
import type { PathNames } from "./path-names.ts";

interface Ground {
  readonly db: Database;
  readonly names: PathNames;
  readonly query: AlertQuery;
  /** Conditions besides that of the path. */
  readonly parts: readonly Part[];
}

/** Records among the newest in which a frequent text is looked for first. */
const recent = 20_000;
/** So few paths are read one by one sooner than those records. */
const fewNames = 100;

/**
 * Few paths fit: each is a range of the index. Many fit: first among the newest alerts. `after`: alerts that came since,
 * in the order of the table.
 */
export function findByGlob(ground: Ground, path: string): readonly number[] {
  const { db, names, query } = ground;
  const pattern = globOf(path);
  if (query.after !== undefined) return findInOrder(ground, pattern, query.after);
  const fitting = names.matching(pattern);
  if (fitting && fitting.length <= fewNames) return findByNames(ground, fitting);
  const newest = query.before ?? newestOf(db) + 1;
  const found = findInOrder(ground, pattern, newest - recent - 1);
  if (found.length === query.limit) return found;
  return fitting ? findByNames(ground, fitting) : findByWalk(ground, pattern);
}

/** Among the alerts with a higher record. */
function findInOrder(ground: Ground, pattern: string, after: number): readonly number[] {
  const { db, query, parts } = ground;
  const { sql, values } = whereOf([globPart(pattern), ...parts], ["record"]);
  const among = `SELECT record FROM alert WHERE record > ? AND ${sql} ${endOf(query)}`;
  return run(db, { sql: among, values: [after, ...values, query.limit] });
}

/** The newest of each path and severity, as far as they are newer than what is found already. */
function findByNames({ db, query, parts }: Ground, names: readonly string[]): readonly number[] {
  const others = parts.filter(({ column }) => column !== "severity");
  const path: Part = { column: "path", test: "= ?", value: undefined };
  const { sql, values } = whereOf([path, ...others], ["path", "record"]);
  const statement = db
    .prepare<unknown[], number>(
      `SELECT record FROM alert INDEXED BY alert_path
       WHERE severity = ? AND record > ? AND ${sql} ${endOf(query)}`,
    )
    .pluck();
  let found: readonly number[] = [];
  for (const name of names)
    for (const rank of ranksWanted(query)) {
      const oldest = found.length < query.limit ? 0 : (found.at(-1) ?? 0);
      const more = statement.all(rank, oldest, name, ...values.slice(1), query.limit);
      if (more.length > 0)
        found = [...found, ...more].toSorted((a, b) => b - a).slice(0, query.limit);
    }
  return found;
}

/** By a walk over the index of paths, then sorted. */
function findByWalk({ db, query, parts }: Ground, pattern: string): readonly number[] {
  const { sql, values } = whereOf([globPart(pattern), ...parts], ["path"]);
  const walk = `SELECT record FROM alert INDEXED BY alert_path WHERE path IS NOT NULL AND ${sql} ${endOf(query)}`;
  return run(db, { sql: walk, values: [...values, query.limit] });
}

function globPart(pattern: string): Part {
  return { column: "path", test: "GLOB ?", value: pattern };
}

function newestOf(db: Database): number {
  return db.prepare<[], number | null>("SELECT max(record) FROM alert").pluck().get() ?? 0;
}

/** SQLite's GLOB has sets in brackets; ours has none. */
function globOf(path: string): string {
  return path.replaceAll("[", "[[]");
}
