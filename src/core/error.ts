/** Errors that an operator can act on. Any other thrown error is a bug. */
export type ErrorCode =
  | "USAGE"
  | "CONFIG_INVALID"
  | "POLICY_INVALID"
  | "BASELINE_MISSING"
  | "BASELINE_EXISTS"
  | "BASELINE_UNTRUSTED"
  | "CHAIN_BROKEN"
  | "KEY_INVALID"
  | "STATE_UNUSABLE"
  | "STATE_BUSY"
  | "STATE_FULL"
  | "SEARCH_SLOW"
  | "SYSCALL"
  | "ENGINE_FAILED"
  | "UNSUPPORTED";

/** The one error class: a stable code, a message (the thing, expected, found) and a hint (what to do). */
export class IntegrityError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "IntegrityError";
    this.code = code;
    this.hint = options.hint;
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Another process holds the database's lock. */
export function isBusy(error: unknown): error is IntegrityError & { readonly code: "STATE_BUSY" } {
  return error instanceof IntegrityError && error.code === "STATE_BUSY";
}

/** The database is locked, full, damaged or not reached. */
export function isUnusable(error: unknown): error is IntegrityError {
  return (
    error instanceof IntegrityError &&
    (isBusy(error) || isFull(error) || error.code === "STATE_UNUSABLE")
  );
}

/** The disk has no space for the database. */
export function isFull(error: unknown): boolean {
  return error instanceof IntegrityError && error.code === "STATE_FULL";
}
