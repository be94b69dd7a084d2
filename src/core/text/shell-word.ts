import { encodePath } from "../path.ts";

/** A path as one word of a POSIX shell; of Bash, where it holds control characters or is not UTF-8. */
export function shellWord(path: string): string {
  if (/^[\w./@%+=:,-]+$/.test(path)) return path;
  if (/^[\x20-\x7e]+$/.test(path)) return `'${path.replaceAll("'", String.raw`'\''`)}'`;
  const bytes = [...encodePath(path)].map((byte) =>
    byte >= 0x20 && byte < 0x7f && byte !== 0x27 && byte !== 0x5c
      ? String.fromCodePoint(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`,
  );
  return `$'${bytes.join("")}'`;
}
