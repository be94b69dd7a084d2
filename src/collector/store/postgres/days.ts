import { lock } from "./connect.ts";
import type { Sql } from "./connect.ts";

const length = 86_400_000;
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
export class Days {
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
    if (this.#known.has(day + ahead) || this.#making) return;
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
    for (let day = first; day <= first + ahead; day += 1) {
      if (this.#known.has(day)) continue;
      await this.#makeDay(day);
      this.#known.add(day);
    }
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
          `ALTER TABLE ${parent} ATTACH PARTITION ${name} FOR VALUES FROM (${day * length}) TO (${(day + 1) * length})`,
        );
      }
    });
  }
}

function dayOf(time: number): number {
  return Math.floor(time / length);
}

/** "20261127" */
function nameOf(day: number): string {
  return new Date(day * length).toISOString().slice(0, 10).replaceAll("-", "");
}
