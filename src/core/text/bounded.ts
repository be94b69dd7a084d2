import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

/*
 * A file may have 64 KiB of names of attributes and as much of access lists, and an alert holds them several times. A
 * collector refuses a record above 1 MiB, and with it all that follow.
 */

const mostText = 4096;
const mostNames = 100;

/** The text, or its beginning, its length in UTF-16 units and its SHA-256. */
export function bounded(text: string): string {
  if (text.length <= mostText) return text;
  const beginning = text.slice(0, mostText).toWellFormed();
  return `${beginning}… (${text.length} characters, SHA-256 ${sha256(text)})`;
}

/** Name -> SHA-256 of the value in hex; of those beyond the first hundred one digest. Values are base64. */
export function xattrDigests(xattrs: Readonly<Record<string, string>>): Record<string, string> {
  const digests = Object.entries(xattrs).map(
    ([name, value]) => [name, sha256(Buffer.from(value, "base64"))] as const,
  );
  const rest = digests.slice(mostNames);
  const more = [`(${rest.length} more)`, sha256(JSON.stringify(rest))] as const;
  return Object.fromEntries([...digests.slice(0, mostNames), ...(rest.length > 0 ? [more] : [])]);
}

/** The first names, and how many more there are. */
export function boundedNames(names: readonly string[]): readonly string[] {
  const rest = names.length - mostNames;
  return rest > 0 ? [...names.slice(0, mostNames), `and ${rest} more`] : names;
}

function sha256(data: string | Buffer): string {
  return createHash("sha256").update(data).digest("hex");
}
