import { setTimeout as pause } from "node:timers/promises";

let passed = 0;
let failed = 0;

/** Runs one check and prints its line. A failed one does not end the run. */
export async function check(title: string, body: () => void | Promise<void>): Promise<boolean> {
  const started = performance.now();
  try {
    await body();
    passed += 1;
    print(`ok      ${title} (${seconds(started)} s)`);
    return true;
  } catch (error) {
    failed += 1;
    print(
      `FAILED  ${title} (${seconds(started)} s)\n        ${String(error).replaceAll("\n", "\n        ")}`,
    );
    return false;
  }
}

/** Prints the counts. Returns the process's exit code. */
export function summary(): number {
  print(`${passed} ok, ${failed} failed`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Awaits the first value that is not undefined or false, asking twice a second. An error counts as not yet. */
export async function until<Value>(
  what: string,
  deadline: number,
  condition: () => Value | undefined | false,
): Promise<Value> {
  const end = performance.now() + deadline * 1000;
  for (;;) {
    let failure = "";
    try {
      const value = condition();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      failure = `: ${String(error)}`;
    }
    if (performance.now() > end) throw new Error(`${what}: not within ${deadline} s${failure}`);
    await pause(500);
  }
}

function seconds(started: number): string {
  return ((performance.now() - started) / 1000).toFixed(1);
}
