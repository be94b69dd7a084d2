import { Buffer } from "node:buffer";
import { parseEnvelope } from "./dsse.ts";
import { numberAt } from "./fields.ts";

/** The numbers of a batch's records as its envelope has them, not verified. Undefined: it has none. */
export function claimedRange(
  envelope: string,
): { readonly first: number; readonly last: number } | undefined {
  const payload = parseEnvelope(envelope)?.payload ?? "";
  try {
    const value: unknown = JSON.parse(Buffer.from(payload, "base64").toString("utf8"));
    const [first, last] = [numberAt(value, "first"), numberAt(value, "last")];
    return Number.isSafeInteger(first) && Number.isSafeInteger(last)
      ? { first: Number(first), last: Number(last) }
      : undefined;
  } catch {
    return undefined;
  }
}
