import { Buffer } from "node:buffer";

/*
 * A path on the node is a string here: absolute, "/" between names, no trailing "/".
 * Linux names are bytes. A byte that is not UTF-8 is kept as the lone surrogate U+DC00 + byte
 * (the "surrogateescape" of PEP 383), so that decoding and encoding lose nothing.
 */

const firstEscape = 0xdc80;
const lastEscape = 0xdcff;
const escapePattern = /[\udc80-\udcff]/;
const replacement = "�";

/** Bytes as the kernel gives them -> path. */
export function decodePath(bytes: Buffer): string {
  const text = bytes.toString("utf8");
  if (!text.includes(replacement)) return text;
  let path = "";
  for (let at = 0; at < bytes.length;) {
    const length = utf8Length(bytes, at);
    if (length === 0) {
      path += String.fromCharCode(0xdc00 + (bytes[at] ?? 0));
      at += 1;
    } else {
      path += bytes.toString("utf8", at, at + length);
      at += length;
    }
  }
  return path;
}

/** Path -> bytes for the kernel. The inverse of decodePath. */
export function encodePath(path: string): Buffer {
  if (isUtf8Path(path)) return Buffer.from(path, "utf8");
  const parts: Buffer[] = [];
  let from = 0;
  for (let at = 0; at < path.length; at += 1) {
    const unit = path.charCodeAt(at);
    if (unit < firstEscape || unit > lastEscape || isTrailing(path, at)) continue;
    parts.push(Buffer.from(path.slice(from, at), "utf8"), Buffer.of(unit - 0xdc00));
    from = at + 1;
  }
  parts.push(Buffer.from(path.slice(from), "utf8"));
  return Buffer.concat(parts);
}

/** True when the path's bytes are valid UTF-8. */
export function isUtf8Path(path: string): boolean {
  return !escapePattern.test(path) || path.isWellFormed();
}

/** What node:fs takes: a string where that is exact, else the bytes. */
export function fsPath(path: string): string | Buffer {
  return isUtf8Path(path) ? path : encodePath(path);
}

/** The path as JSON shows it: U+FFFD for each bad byte, and the bytes in base64 when there were any. */
export function showPath(path: string): { readonly text: string; readonly base64?: string } {
  if (isUtf8Path(path)) return { text: path };
  return { text: path.toWellFormed(), base64: encodePath(path).toString("base64") };
}

/** Control, format, ignorable and unassigned characters, surrogates, a blank Braille cell, and spaces but U+0020. */
const unprintable = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/u;
const escaped = new RegExp(`${unprintable.source}|\\\\`, "gu");

/** For people, always one line: escapes control, invisible and direction-changing characters and bad bytes. */
export function printable(text: string): string {
  return text.replace(escaped, (unit) => {
    const code = unit.codePointAt(0) ?? 0;
    if (unit === "\\") return "\\\\";
    if (unit === "\n") return "\\n";
    if (unit === "\t") return "\\t";
    if (code >= firstEscape && code <= lastEscape) return `\\x${(code - 0xdc00).toString(16)}`;
    if (code > 0xffff) return `\\u{${code.toString(16)}}`;
    return code < 0x80
      ? `\\x${code.toString(16).padStart(2, "0")}`
      : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** The same for a text that may be printable already. */
export function harmless(text: string): string {
  return unprintable.test(text) ? printable(text) : text;
}

/** Order of the bytes: the order in which signed rows are sorted. */
export function comparePaths(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(encodePath(a), encodePath(b));
}

/** "/a/b" -> "/a"; "/a" -> "/"; "/" -> "/". */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash <= 0 ? "/" : path.slice(0, slash);
}

/** "/a/b" -> "b". */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** "/a" and "b" -> "/a/b". */
export function joinPath(dir: string, name: string): string {
  return dir === "/" ? `/${name}` : `${dir}/${name}`;
}

/** True for everything strictly below the directory; "/ab" is not below "/a". */
export function isBelow(path: string, dir: string): boolean {
  return dir === "/" ? path !== "/" : path.startsWith(dir) && path[dir.length] === "/";
}

function isTrailing(path: string, at: number): boolean {
  const before = path.charCodeAt(at - 1);
  return before >= 0xd800 && before <= 0xdbff;
}

/** Length of the well-formed UTF-8 sequence at this offset, or 0 (Unicode 15.0, table 3-7). */
function utf8Length(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  const length = first >= 0xc2 && first <= 0xdf ? 2 : first >= 0xe0 && first <= 0xef ? 3 : 4;
  if (first < 0xc2 || first > 0xf4 || at + length > bytes.length) return 0;
  const sequence = bytes.subarray(at, at + length);
  return sequence.equals(Buffer.from(sequence.toString("utf8"), "utf8")) ? length : 0;
}
