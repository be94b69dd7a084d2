import { once } from "node:events";
import type { TransactionSql } from "./connect.ts";

/** A bigint, a bytea. */
type Field = number | Buffer;

const start = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");
const end = Buffer.from([0xff, 0xff]);
const numberBytes = 8;

/**
 * Rows in the binary format of COPY (postgresql.org/docs/current/sql-copy.html, "Binary Format"): a record's bytes go
 * as they are, which costs both sides far less than their text.
 */
function binaryRows(rows: readonly (readonly Field[])[]): Buffer {
  const fields = rows.flat();
  const size = fields.reduce<number>((sum, field) => sum + 4 + lengthOf(field), rows.length * 2);
  const buffer = Buffer.allocUnsafe(start.length + size + end.length);
  let at = start.copy(buffer);
  for (const row of rows) {
    at = buffer.writeInt16BE(row.length, at);
    for (const field of row) {
      at = buffer.writeInt32BE(lengthOf(field), at);
      at =
        typeof field === "number"
          ? buffer.writeBigInt64BE(BigInt(field), at)
          : at + field.copy(buffer, at);
    }
  }
  end.copy(buffer, at);
  return buffer;
}

function lengthOf(field: Field): number {
  return typeof field === "number" ? numberBytes : field.length;
}

/** Runs a `COPY … FROM STDIN (FORMAT binary)`. No other statement of the transaction may wait meanwhile. */
export async function copyIn(
  sql: TransactionSql,
  statement: string,
  rows: readonly (readonly Field[])[],
): Promise<void> {
  const stream = await sql.unsafe(statement).writable();
  stream.end(binaryRows(rows));
  await once(stream, "finish");
}
