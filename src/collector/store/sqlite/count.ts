import type { Database } from "better-sqlite3";
import { severities } from "../../../core/policy/rule.ts";
import type { Severity } from "../../../core/policy/rule.ts";
import type { HourCount } from "../store.ts";

export type OpenAlerts = Readonly<Record<Severity, number>>;

/** Milliseconds. */
const hourLength = 3_600_000;

/** How many alerts of each severity no one has acknowledged. */
export function openAlerts(db: Database): OpenAlerts {
  const counted = new Map(
    db
      .prepare<[], { severity: number; count: number }>(
        "SELECT severity, count(*) AS count FROM alert WHERE acknowledged = 0 GROUP BY severity",
      )
      .all()
      .map(({ severity, count }) => [severities[severity], count]),
  );
  return Object.fromEntries(
    severities.map((one) => [one, counted.get(one) ?? 0]),
  ) as unknown as OpenAlerts;
}

/** How many alerts happened in each hour from the one on that holds `since`, milliseconds since 1970. */
export function alertsByHour(db: Database, since: number): readonly HourCount[] {
  return db
    .prepare<[number], { hour: number; severity: number; count: number }>(
      `SELECT at / ${hourLength} * ${hourLength} AS hour, severity, count(*) AS count
       FROM alert WHERE at >= ? GROUP BY 1, 2 ORDER BY 1, 2`,
    )
    .all(since - (since % hourLength))
    .map((row) => ({ ...row, severity: severities[row.severity] ?? "critical" }));
}
