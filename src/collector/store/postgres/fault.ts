import postgres from "postgres";
import { IntegrityError, messageOf } from "../../../core/error.ts";

/** Of Node and the library: the server was not reached, or the connection was lost. */
const lost: readonly string[] = [
  "CONNECTION_CLOSED",
  "CONNECTION_DESTROYED",
  "CONNECT_TIMEOUT",
  "EAI_AGAIN",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOENT",
  "ENOTFOUND",
  "EPIPE",
  "ETIMEDOUT",
];

/**
 * Classes and codes that pass by themselves (postgresql.org/docs/current/errcodes-appendix.html): connections,
 * serialisation and deadlock, too many connections, a server that starts or stops, a lock that is held, a standby
 * that has not taken over yet.
 */
const passing = /^(?:08|40|53[23]|57P|55P03|57014|25006|25P0[34])/;

/** Whether the same work may succeed soon. */
export function isPassing(error: unknown): boolean {
  const code = codeOf(error);
  return lost.includes(code) || passing.test(code);
}

/** Puts the server's and the connection's errors into an operator's words. `name`: the database, without password. */
export function explain(error: unknown, name: string): unknown {
  const code = codeOf(error);
  const cause = error;
  if (error instanceof IntegrityError) return error;
  if (isPassing(error))
    return new IntegrityError("STATE_BUSY", `database ${name}: not available (${code})`, {
      hint: "check that the server runs and can be reached; it is tried again",
      cause,
    });
  const invalid = (found: string, hint: string): IntegrityError =>
    new IntegrityError("CONFIG_INVALID", `database ${name}: ${found}`, { hint, cause });
  switch (code) {
    case "28P01":
    case "28000":
      return invalid("the server refuses this user", "check user and password of --store");
    case "3D000":
      return invalid("there is none", "make it: createdb --owner USER NAME");
    case "42501":
      return invalid("the user lacks a right", "let it own the database");
    case "53100":
      return new IntegrityError("STATE_UNUSABLE", `database ${name}: its disk is full`, {
        hint: "make room on it",
        cause,
      });
    default:
      if (!(error instanceof postgres.PostgresError)) return error;
      return new IntegrityError("STATE_UNUSABLE", `database ${name}: ${messageOf(error)}`, {
        cause,
      });
  }
}

function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return typeof code === "string" ? code : "";
}
