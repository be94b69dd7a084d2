import stringWidth from "string-width";
import type { Format } from "../config/options.ts";
import type { FoldedChange, JudgedChange } from "../core/change/change.ts";
import { IntegrityError } from "../core/error.ts";
import { toLine, toRow } from "../core/text/change-text.ts";
import { toChangeObject } from "../core/text/change-json.ts";
import { exit, fail } from "./fail.ts";

/** Called once when the output cannot be written (a full disk). The command has failed then. */
let onUnwritable: (why: string) => void = (why) => {
  const code = fail("fim-agent", unwritable(why));
  process.once("exit", (was) => {
    if (was === exit.fine || was === exit.drift) process.exitCode = code;
  });
};
let isUnwritable = false;

for (const stream of [process.stdout, process.stderr])
  stream.on("error", ({ code, message }: NodeJS.ErrnoException) => {
    // The reader has closed the pipe (`| head`): that is no fault, and does not end a watch.
    if (code === "EPIPE" || isUnwritable) return;
    isUnwritable = true;
    onUnwritable(code ?? message);
  });

/** For a command that continues without its output: called once instead. */
export function whenUnwritable(notify: (why: string) => void): void {
  onUnwritable = notify;
}

function unwritable(why: string): IntegrityError {
  return new IntegrityError("SYSCALL", `output: cannot be written (${why})`, {
    hint: "make room where it goes, and run the command again",
  });
}

/** What a command prints goes to stdout; everything else to stderr. */
export function out(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** A result that is not a list: lines for people, one object for machines. */
export function printResult(
  format: Format,
  result: Readonly<Record<string, unknown>>,
  lines: readonly string[],
): void {
  if (format === "table") for (const line of lines) out(line);
  else out(format === "json" ? JSON.stringify(result, undefined, 2) : JSON.stringify(result));
}

export function printChanges(format: Format, changes: readonly JudgedChange[]): void {
  if (format === "ndjson") for (const one of changes) out(JSON.stringify(toChangeObject(one)));
  else if (format === "json") out(JSON.stringify(changes.map(toChangeObject), undefined, 2));
  else if (changes.length > 0) out(table(changes.map(cells)));
}

/** One alert as it happens. */
export function printAlert(format: Format, change: JudgedChange | FoldedChange): void {
  out(format === "table" ? toLine(change) : JSON.stringify(toChangeObject(change)));
}

function cells(judged: JudgedChange): readonly string[] {
  const { severity, change, path, fields, detail } = toRow(judged);
  return [severity, change, path, fields, detail];
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
