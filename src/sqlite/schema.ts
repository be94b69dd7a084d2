import Database from "better-sqlite3";
import type { Migrations } from "./migrate.ts";

interface Entry {
  readonly type: string;
  readonly name: string;
  readonly sql: string | null;
}

/** One difference between a database's schema and that of its migrations. */
export interface SchemaFault {
  readonly kind: "unexpected" | "missing" | "altered";
  readonly type: string;
  readonly name: string;
}

const entries =
  "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";

const expected = new WeakMap<Migrations, ReadonlyMap<string, Entry>>();

/**
 * Compares the schema with that of the migrations: a trigger, a view, or another table or column is an attack on what
 * the program stores (CREATE TRIGGER … RAISE(IGNORE) drops rows without an error).
 */
export function schemaFaults(
  db: Database.Database,
  migrations: Migrations,
): readonly SchemaFault[] {
  const wanted = schemaOf(migrations);
  const found = readSchema(db);
  return [
    ...[...found.values()].flatMap((one) => {
      const own = wanted.get(one.name);
      if (!own) return [faultOf("unexpected", one)];
      return own.sql === one.sql && own.type === one.type ? [] : [faultOf("altered", one)];
    }),
    ...[...wanted.values()]
      .filter(({ name }) => !found.has(name))
      .map((one) => faultOf("missing", one)),
  ];
}

/** "unexpected trigger deaf, altered table record" */
export function schemaText(faults: readonly SchemaFault[]): string {
  return faults.map(({ kind, type, name }) => `${kind} ${type} ${name}`).join(", ");
}

function faultOf(kind: SchemaFault["kind"], { type, name }: Entry): SchemaFault {
  return { kind, type, name };
}

function schemaOf(migrations: Migrations): ReadonlyMap<string, Entry> {
  const known = expected.get(migrations);
  if (known) return known;
  const db = new Database(":memory:");
  try {
    for (const migration of migrations) db.exec(migration);
    const schema = readSchema(db);
    expected.set(migrations, schema);
    return schema;
  } finally {
    db.close();
  }
}

function readSchema(db: Database.Database): ReadonlyMap<string, Entry> {
  const rows = db.prepare<[], Entry>(entries).all();
  return new Map(rows.map((row) => [row.name, row]));
}
