/*
 * Texts for people. What a node sends may hold characters that do not show, reverse the direction or look like spaces:
 * each is shown by its name.
 */

/** Unicode 16, chapter 4 and DerivedCoreProperties: controls, formats, what is ignored or unassigned, odd spaces. */
const odd = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu;

const shortNames = new Map([
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
  ["\u001b", "ESC"],
  ["\u0000", "NUL"],
]);

/** @param {string} character */
function nameOf(character) {
  const code = character.codePointAt(0) ?? 0;
  return shortNames.get(character) ?? `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

/**
 * The text in parts: what shows as it is, and names of characters that do not.
 * @param {string} text
 * @returns {readonly ({ readonly text: string } | { readonly odd: string })[]}
 */
export function partsOf(text) {
  const parts = [];
  let from = 0;
  for (const { 0: character, index } of text.matchAll(odd)) {
    if (index > from) parts.push({ text: text.slice(from, index) });
    parts.push({ odd: nameOf(character) });
    from = index + character.length;
  }
  if (from < text.length) parts.push({ text: text.slice(from) });
  return parts;
}

/**
 * The same as one text, where no element can be: titles, the window's name.
 * @param {string} text
 */
export function plain(text) {
  return text.replaceAll(odd, (character) => `\u27e8${nameOf(character)}\u27e9`);
}

/**
 * Cuts a long text in its middle: both ends of a path matter.
 * @param {string} text
 * @param {number} most characters
 */
export function middle(text, most) {
  if (text.length <= most) return text;
  const all = Array.from(text);
  if (all.length <= most) return text;
  const tail = Math.ceil((most - 1) * 0.6);
  return `${all.slice(0, most - 1 - tail).join("")}\u2026${all.slice(-tail).join("")}`;
}

/** @param {string} path */
export function baseName(path) {
  return path === "/" ? path : path.slice(path.lastIndexOf("/") + 1);
}

/** @param {string} path */
export function parentOf(path) {
  const slash = path.lastIndexOf("/");
  return slash <= 0 ? "/" : path.slice(0, slash);
}

/** @param {number} value */
const two = (value) => String(value).padStart(2, "0");

const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** Milliseconds: before that, the same time of another day could be meant. */
const halfDay = 43_200_000;

/**
 * "14:03" of today and of the last twelve hours, else "23 Nov 14:03".
 * @param {number} at milliseconds since 1970
 * @param {number} now
 */
export function shortTime(at, now) {
  const [date, today] = [new Date(at), new Date(now)];
  const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
  const isToday = date.toDateString() === today.toDateString();
  const isRecent = at <= now && now - at < halfDay;
  return isToday || isRecent ? time : `${date.getDate()} ${months[date.getMonth()]} ${time}`;
}

/**
 * "14:03:22", with the date where it is not today.
 * @param {number} at
 * @param {number} now
 */
export function longTime(at, now) {
  return `${shortTime(at, now)}:${two(new Date(at).getSeconds())}`;
}

/**
 * Date, time, milliseconds and zone.
 * @param {number} at
 */
export function fullTime(at) {
  const date = new Date(at);
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const offset = -date.getTimezoneOffset();
  const [hours, minutes] = [Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60];
  const zone = `UTC${offset < 0 ? "-" : "+"}${two(hours)}:${two(minutes)}`;
  return `${day} ${time}.${String(date.getMilliseconds()).padStart(3, "0")} ${zone}`;
}

/**
 * "2 min ago".
 * @param {number} at
 * @param {number} now
 */
export function ago(at, now) {
  const seconds = Math.max(0, Math.round((now - at) / 1000));
  if (seconds < 60) return seconds < 5 ? "just now" : `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  const days = Math.floor(seconds / 86_400);
  return days === 1 ? "1 day ago" : `${days} days ago`;
}

/**
 * "3 nodes", "1 node".
 * @param {number} count
 * @param {string} noun
 */
export function many(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * A path as one word of a shell; of Bash, where it holds characters beyond ASCII or is not UTF-8.
 * @param {string} path
 * @param {string} [base64] its bytes, where it is not UTF-8
 */
export function shellWord(path, base64) {
  if (base64 === undefined && /^[\w./@%+=:,-]+$/.test(path)) return path;
  if (base64 === undefined && /^[\x20-\x7e]+$/.test(path))
    return `'${path.replaceAll("'", String.raw`'\''`)}'`;
  const bytes = base64 === undefined ? new TextEncoder().encode(path) : bytesOf(base64);
  const escaped = Array.from(bytes, (byte) =>
    byte >= 0x20 && byte < 0x7f && byte !== 0x27 && byte !== 0x5c
      ? String.fromCodePoint(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`,
  );
  return `$'${escaped.join("")}'`;
}

/** @param {string} base64 */
function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.codePointAt(0) ?? 0);
}
