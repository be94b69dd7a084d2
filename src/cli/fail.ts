import { IntegrityError, messageOf } from "../core/error.ts";
import type { ErrorCode } from "../core/error.ts";

/** The exit codes of the contract. */
export const exit = { fine: 0, drift: 1, usage: 2, untrusted: 3, incomplete: 4, bug: 70 } as const;
export type Exit = (typeof exit)[keyof typeof exit];

/** Prints what is wrong and what to do on stderr, and returns the exit code. Marks a bug as one. */
export function fail(program: string, thrown: unknown): Exit {
  const error = firstOf(thrown);
  if (!(error instanceof IntegrityError)) {
    const what = messageOf(error);
    process.stderr.write(`${program}: bug: ${what.split("\n", 1)[0]}\n`);
    process.stderr.write("hint: please report it; FIM_DEBUG=1 shows where it happened\n");
    if (process.env["FIM_DEBUG"] && error instanceof Error)
      process.stderr.write(`${error.stack ?? ""}\n`);
    return exit.bug;
  }
  process.stderr.write(`${program}: ${error.message}\n`);
  if (error.hint !== undefined) process.stderr.write(`hint: ${error.hint}\n`);
  return exitOf(error.code);
}

/** The last resort: an uncaught error ends the program like any other failure, with a sentence and an exit code. */
export function failUncaught(program: string): void {
  for (const event of ["uncaughtException", "unhandledRejection"] as const)
    process.on(event, (error: unknown) => process.exit(fail(program, error)));
}

/** The error that came first: another one may have followed while resources were closed. */
function firstOf(error: unknown): unknown {
  return error instanceof SuppressedError ? firstOf(error.suppressed) : error;
}

function exitOf(code: ErrorCode): Exit {
  switch (code) {
    case "USAGE":
    case "CONFIG_INVALID":
    case "POLICY_INVALID":
    case "UNSUPPORTED":
    case "ENGINE_FAILED":
      return exit.usage;
    case "BASELINE_MISSING":
    case "BASELINE_EXISTS":
    case "BASELINE_UNTRUSTED":
    case "KEY_INVALID":
    case "STATE_UNUSABLE":
    case "STATE_FULL":
    case "CHAIN_BROKEN":
      return exit.untrusted;
    case "STATE_BUSY":
    case "SEARCH_SLOW":
    case "SYSCALL":
      return exit.incomplete;
  }
}
