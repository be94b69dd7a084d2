import { readFileSync } from "node:fs";
import postgres from "postgres";
import { IntegrityError } from "../../../core/error.ts";
import { explain } from "./fault.ts";
import { openSocket } from "./socket.ts";

/** Columns of type bigint are numbers. */
interface Types extends Record<string, unknown> {
  readonly bigint: number;
}
export type Sql = postgres.Sql<Types>;
export type TransactionSql = postgres.TransactionSql<Types>;

/** Runs statements, and again where a failure passes. */
export type Run = <Result>(work: (sql: Sql) => Promise<Result>) => Promise<Result>;

/** A pool of connections, and what names it: without the password. */
export interface Connections {
  readonly sql: Sql;
  readonly name: string;
}

/** Connections of one collector. */
const most = 12;

/**
 * A transaction that waits for a lock, or whose collector is frozen, ends: another one must not wait for it forever.
 * Milliseconds.
 */
const limits = {
  lock_timeout: 5000,
  statement_timeout: 60_000,
  idle_in_transaction_session_timeout: 15_000,
};

/** Connects to `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…`. */
export async function connect(address: string): Promise<Connections> {
  const url = parse(address);
  const name = nameOf(url);
  const ssl = sslOf(url);
  const sql: Sql = postgres<{ bigint: postgres.PostgresType<number> }>(url.href, {
    max: most,
    connect_timeout: 10,
    idle_timeout: 300,
    // A server that comes back is used at once, however long it was away.
    backoff: () => 0.2,
    fetch_types: false,
    onnotice: () => undefined,
    connection: { application_name: "fim-collector", ...limits },
    types: { bigint: { to: 20, from: [20], serialize: String, parse: Number } },
    ...(ssl !== undefined && { ssl }),
    // Of the library's types only this option is missing.
    ...({ socket: openSocket } as object),
  });
  try {
    await expectDurable(sql, name);
    return { sql, name };
  } catch (error) {
    await sql.end({ timeout: 1 });
    throw explain(error, name);
  }
}

/** Held until the transaction ends, also for what is not stored yet and could not be locked as a row. */
export async function lock(sql: TransactionSql, what: string): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' ' || ${what}, 0))`;
}

function parse(address: string): URL {
  // The message must not repeat the address: it may hold a password.
  const url = URL.parse(address);
  if (url && url.pathname.length > 1 && isEncoded(url)) return url;
  throw new IntegrityError("CONFIG_INVALID", "--store: cannot be read as an address", {
    hint: "expected postgres://USER:PASSWORD@HOST:PORT/DATABASE, each part percent-encoded",
  });
}

/** The library decodes these parts, and throws them when it cannot. */
function isEncoded({ username, password, host }: URL): boolean {
  return [username, password, host].every(canDecode);
}

function canDecode(part: string): boolean {
  try {
    decodeURIComponent(part);
    return true;
  } catch {
    return false;
  }
}

function nameOf({ username, host, pathname }: URL): string {
  return `postgres://${username === "" ? "" : `${username}@`}${host}${pathname}`;
}

/** `sslrootcert=FILE`, which the library would pass on to the server, is the authority that the certificate is by. */
function sslOf(url: URL): { readonly ca: string } | undefined {
  const file = url.searchParams.get("sslrootcert");
  if (file === null || file === "system") return undefined;
  url.searchParams.delete("sslrootcert");
  try {
    return { ca: readFileSync(file, "utf8") };
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new IntegrityError("CONFIG_INVALID", `--store: sslrootcert ${file}: ${code}`, {
      hint: "name a readable PEM file",
    });
  }
}

/** A server that says "committed" before it is on the disk would lose records that agents delete. */
async function expectDurable(sql: Sql, name: string): Promise<void> {
  for (const setting of ["fsync", "synchronous_commit"]) {
    const [row] = await sql<{ value: string }[]>`SELECT current_setting(${setting}) AS value`;
    if (row?.value !== "off") continue;
    throw new IntegrityError("STATE_UNUSABLE", `database ${name}: ${setting} is off`, {
      hint: `it would lose records at a power failure: set ${setting} = on`,
    });
  }
}
