import { parseDuration } from "../core/duration.ts";
import { IntegrityError } from "../core/error.ts";

/** `--since`: "24h" before now, or a date and time of RFC 3339, as milliseconds since 1970. Throws USAGE. */
export function sinceOf(given: unknown): number | undefined {
  if (typeof given !== "string") return undefined;
  const duration = parseDuration(given);
  const at = duration === undefined ? Date.parse(given) : Date.now() - duration;
  if (!Number.isNaN(at)) return at;
  throw new IntegrityError("USAGE", `--since ${given}: expected a duration or a time`, {
    hint: "such as --since 24h or --since 2026-11-26T03:00:00Z",
  });
}
