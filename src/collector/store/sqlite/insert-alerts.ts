import { severities } from "../../../core/policy/rule.ts";
import type { Statements } from "../../../sqlite/statements.ts";
import type { AlertColumns } from "../store.ts";

interface NewAlert {
  /** The leaf of its record, and one. */
  readonly record: number;
  /** Of its record. */
  readonly hash: string;
  readonly alert: AlertColumns;
  readonly node: number | undefined;
  readonly now: number;
}

const into = `INSERT INTO alert
  (record, uid, node, type, severity, change, path, rule, incident, pod, program, at, received)`;
const end = "ON CONFLICT DO NOTHING";

/** Inserts alerts. Where another record has the id of an alert, the alert gets its record's hash as its id. */
export function insertAlerts(statements: Statements, alerts: readonly NewAlert[]): void {
  const inserted = statements.insertRows(into, alerts.map(rowOf), end);
  if (inserted === alerts.length) return;
  const hidden = alerts.filter((one) => isHidden(statements, one));
  const shown = hidden.map((one) => ({ ...one, alert: { ...one.alert, uid: one.hash } }));
  statements.insertRows(into, shown.map(rowOf), end);
}

/** True if another record has its id. A branch may repeat a record of the chain: that is the same one. */
function isHidden(statements: Statements, { record, hash, alert }: NewAlert): boolean {
  const found = statements
    .prepare<{ record: number; hash: Buffer }>(
      `SELECT record, hash FROM alert JOIN subtree ON level = 0 AND place = record - 1 WHERE uid = ?`,
    )
    .get(alert.uid);
  return found !== undefined && found.record !== record && found.hash.toString("hex") !== hash;
}

function rowOf({ record, alert, node, now }: NewAlert): readonly unknown[] {
  return [
    record,
    alert.uid,
    node ?? null,
    alert.type,
    severities.indexOf(alert.severity),
    alert.change ?? null,
    alert.path ?? null,
    alert.rule ?? null,
    alert.incident ?? null,
    alert.pod ?? null,
    alert.program ?? null,
    alert.at,
    now,
  ];
}
