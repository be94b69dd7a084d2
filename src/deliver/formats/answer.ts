import type { StatusAnswer } from "../../core/backoff.ts";
import { harmless } from "../../core/path.ts";
import { redactText } from "../../core/redact.ts";
import { fit } from "./text.ts";

/** The answer's text as JSON. Undefined: it is none. */
export function parseJson({ body }: StatusAnswer): unknown {
  try {
    return body === undefined ? undefined : JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** What a service gives as its reason, for the log: one line, short, without what looks like a key. */
export function reason(...parts: readonly (string | undefined)[]): string {
  const text = parts.filter((part) => part !== undefined && part !== "").join(", ");
  return fit(redactText(harmless(text)), 300);
}
