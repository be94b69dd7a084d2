import stringWidth from "string-width";
import type { Format } from "../config/options.ts";
import type { JudgedChange } from "../core/change/change.ts";
import { toChangeObject } from "../core/text/change-json.ts";
import { toRow } from "../core/text/change-text.ts";
import { out } from "./print.ts";

export function printChanges(format: Format, changes: readonly JudgedChange[]): void {
  if (format === "ndjson") for (const one of changes) out(JSON.stringify(toChangeObject(one)));
  else if (format === "json") out(JSON.stringify(changes.map(toChangeObject), undefined, 2));
  else if (changes.length > 0) out(table(changes.map(cells)));
}

/** Columns as wide as their widest cell; the last is left as it is. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, at) =>
    rows.reduce((widest, row) => Math.max(widest, stringWidth(row[at] ?? "")), 0),
  );
  return rows
    .map((row) =>
      row
        .map((cell, at) => (at === row.length - 1 ? cell : pad(cell, widths[at] ?? 0)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function pad(cell: string, width: number): string {
  return cell + " ".repeat(Math.max(0, width - stringWidth(cell)));
}

function cells(judged: JudgedChange): readonly string[] {
  const { severity, change, path, fields, detail } = toRow(judged);
  return [severity, change, path, fields, detail];
}
