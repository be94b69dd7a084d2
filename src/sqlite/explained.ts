import type { Database, Statement } from "better-sqlite3";
import { attempt } from "./fault.ts";

/** A connection whose SQLite errors are put into words. */
export function explained(db: Database): Database {
  const prepare = db.prepare.bind(db) as (sql: string) => Statement;
  const exec = db.exec.bind(db);
  const pragma = db.pragma.bind(db);
  return Object.assign(db, {
    prepare: (sql: string) =>
      explainedStatement(
        attempt(() => prepare(sql), db.name),
        db.name,
      ),
    exec: (sql: string) => attempt(() => exec(sql), db.name),
    pragma: (source: string, options?: Parameters<typeof pragma>[1]): unknown =>
      attempt(() => pragma(source, options), db.name),
  });
}

function explainedStatement(statement: Statement, file: string): Statement {
  const get = statement.get.bind(statement);
  const all = statement.all.bind(statement);
  const run = statement.run.bind(statement);
  const iterate = statement.iterate.bind(statement);
  return Object.assign(statement, {
    get: (...bound: unknown[]) => attempt(() => get(...bound), file),
    all: (...bound: unknown[]) => attempt(() => all(...bound), file),
    run: (...bound: unknown[]) => attempt(() => run(...bound), file),
    iterate: (...bound: unknown[]) => explainedRows(() => iterate(...bound), file),
  });
}

function* explainedRows(
  begin: () => IterableIterator<unknown>,
  file: string,
): IterableIterator<unknown> {
  const rows = attempt(begin, file);
  try {
    for (;;) {
      const { done, value } = attempt(() => rows.next(), file);
      if (done) return;
      yield value;
    }
  } finally {
    rows.return?.();
  }
}
