import type { Format } from "../config/options.ts";
import type { Reported } from "../reconcile/commit.ts";
import { IntegrityError } from "../core/error.ts";
import { toLine } from "../core/text/change-text.ts";
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

/** One alert as it happens: a sentence for people, the event for log shippers. */
export function printAlert(format: Format, { judged, event }: Reported): void {
  out(format === "table" ? toLine(judged) : JSON.stringify(event));
}
