import { dayLength, dayOf } from "../days.ts";
import type { StoredDays } from "../days.ts";
import { lock } from "./connect.ts";
import type { Sql } from "./connect.ts";

const partitioned = ["batch", "record", "alert"] as const;

/** Partitions that are made before the first row of their day. */
const ahead = 2;

/** Rows of a day for which no partition is known. The transaction begins again when there is one. */
export class MissingDay extends Error {
  readonly now: number;

  constructor(now: number) {
    super(`no partition for ${new Date(now).toISOString()}`);
    this.now = now;
  }
}

/** The partitions of one day each. */
export class Days implements StoredDays {
  readonly #sql: Sql;
  readonly #known = new Set<number>();
  #making: Promise<void> | undefined;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** Milliseconds since 1970. Makes those ahead in the background. Throws MissingDay. */
  expect(now: number): void {
    const day = dayOf(now);
    if (!this.#known.has(day)) throw new MissingDay(now);
    if (this.#known.has(day + ahead * dayLength) || this.#making) return;
    // A failure is no harm yet: the next record tries again.
    this.#making = this.make(now)
      .catch(() => undefined)
      .finally(() => {
        this.#making = undefined;
      });
  }

  /** Makes the partitions of this day and of those ahead. Several collectors may do so at once. */
  async make(now: number): Promise<void> {
    const first = dayOf(now);
    for (let day = first; day <= first + ahead * dayLength; day += dayLength) {
      if (this.#known.has(day)) continue;
      await this.#makeDay(day);
      this.#known.add(day);
    }
  }

  async oldest(): Promise<number | undefined> {
    const [oldest] = await this.#partitions();
    return oldest;
  }

  async newestOf(day: number): Promise<number> {
    const [row] = await this.#sql<{ newest: number | null }[]>`
      SELECT max(record) AS newest FROM alert WHERE received < ${day + dayLength}`;
    return row?.newest ?? 0;
  }

  async size(): Promise<number> {
    const [row] = await this.#sql<{ size: number }[]>`
      SELECT pg_database_size(current_database()) AS size`;
    return row?.size ?? 0;
  }

  async drop(last: number): Promise<void> {
    for (const day of await this.#partitions()) {
      if (day > last) return;
      await this.#dropDay(day);
      this.#known.delete(day);
    }
  }

  async #dropDay(day: number): Promise<void> {
    const suffix = nameOf(day);
    await this.#sql.begin(async (tx) => {
      await lock(tx, "days");
      await tx`SET LOCAL statement_timeout = 0`;
      const [found] = await tx`SELECT 1 WHERE to_regclass(${`alert_${suffix}`}) IS NOT NULL`;
      // Another collector has dropped it.
      if (!found) return;
      for (const table of ["comment", "alert_uid"])
        await tx.unsafe(`DELETE FROM ${table} USING alert_${suffix} AS old
          WHERE ${table}.record = old.record`);
      for (const parent of partitioned) await tx.unsafe(`DROP TABLE ${parent}_${suffix}`);
    });
  }

  /** Beginnings of the days that have partitions, oldest first. */
  async #partitions(): Promise<readonly number[]> {
    const rows = await this.#sql<{ name: string }[]>`
      SELECT relname AS name FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
      WHERE inhparent = 'batch'::regclass ORDER BY relname`;
    return rows.map(({ name }) => timeOf(name));
  }

  /** A table is attached, not made as a partition, because this blocks no reader and no writer. */
  async #makeDay(day: number): Promise<void> {
    await this.#sql.begin(async (tx) => {
      await lock(tx, "days");
      for (const parent of partitioned) {
        const name = `${parent}_${nameOf(day)}`;
        const [found] = await tx`SELECT 1 WHERE to_regclass(${name}) IS NOT NULL`;
        if (found) continue;
        await tx.unsafe(`CREATE TABLE ${name} (LIKE ${parent} INCLUDING ALL)`);
        await tx.unsafe(
          `ALTER TABLE ${parent} ATTACH PARTITION ${name} FOR VALUES FROM (${day}) TO (${day + dayLength})`,
        );
      }
    });
  }
}

/** "20261127" */
function nameOf(day: number): string {
  return new Date(day).toISOString().slice(0, 10).replaceAll("-", "");
}

/** "batch_20261127" -> the beginning of that day. */
function timeOf(name: string): number {
  const [, year, month, date] = /_(\d{4})(\d\d)(\d\d)$/.exec(name) ?? [];
  return Date.UTC(Number(year), Number(month) - 1, Number(date));
}
