import { harmless } from "../path.ts";
import { isoTime } from "../text/change-json.ts";
import { fieldsOf, listAt, numberAt, textAt } from "./fields.ts";

/** A document, or a part of one. */
export type Document = Readonly<Record<string, unknown>>;

/** UTF-16 units, so that no text exceeds Lucene's longest term of 32,766 bytes, for which an index refuses all. */
const mostText = 8000;

/** `unmapped.fim` of an alert. */
export function changeIn(body: Document): Document {
  return fieldsOf(fieldsOf(body["unmapped"])["fim"]);
}

export function changeOf(body: Document): string {
  return harmless(textAt(changeIn(body), "change") ?? "unknown");
}

export function texts(value: unknown, ...names: readonly string[]): readonly string[] {
  return listAt(value, ...names)
    .filter((one) => typeof one === "string")
    .map(cut);
}

export function numberText(value: unknown, ...names: readonly string[]): string | undefined {
  return numberAt(value, ...names)?.toString();
}

/** A time in the form that an index of dates takes. */
export function dateAt(value: unknown, ...names: readonly string[]): string | undefined {
  const text = textAt(value, ...names);
  const isDate = text !== undefined && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/.test(text);
  return isDate && !Number.isNaN(Date.parse(text)) ? text : undefined;
}

/** RFC 3339 ends with the year 9999. */
const lastTime = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

export function dateOf(time: number | undefined): string | undefined {
  return time !== undefined && time >= 0 && time <= lastTime ? isoTime(time) : undefined;
}

export function distinct(all: readonly string[]): readonly string[] {
  return [...new Set(all)];
}

/** Without what is absent or empty, and with texts that an index takes. */
export function known(members: Document): Document {
  const present = Object.entries(members).filter(([, value]) => !isEmpty(value));
  return Object.fromEntries(
    present.map(([key, value]) => [key, typeof value === "string" ? cut(value) : value]),
  );
}

function cut(text: string): string {
  return text.length > mostText ? text.slice(0, mostText).toWellFormed() : text;
}

function isEmpty(value: unknown): boolean {
  if (value === undefined) return true;
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
