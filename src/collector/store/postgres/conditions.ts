import { severities } from "../../../core/policy/rule.ts";
import type { AlertQuery } from "../store.ts";
import { arrayOf, plain } from "./values.ts";

type Value = string | number;

/** Characters that the index of paths holds of each, and that of incidents. */
const indexedPath = 512;
const indexedIncident = 128;

export interface Conditions {
  readonly where: string;
  readonly values: readonly Value[];
}

/** A condition for each given part of a query, with numbered parameters. `names`: the paths that fit its pattern. */
export function conditionsOf(query: AlertQuery, names?: readonly string[]): Conditions {
  const { path, severities: wanted, acknowledged, incident, program } = query;
  const conditions: readonly (readonly [string, Value | undefined])[] = [
    ["node IN (SELECT id FROM node WHERE cluster = ?)", query.cluster],
    ["node IN (SELECT id FROM node WHERE name = ?)", query.node],
    ["severity = ANY (?::smallint[])", wanted && arrayOf(wanted.map(rankOf))],
    ["change = ?", query.change],
    ["type = ?", query.type],
    ...(names ? nameConditions(names) : pathConditions(path)),
    ["rule = ?", query.rule],
    [`left(incident, ${indexedIncident}) = ?`, incident?.slice(0, indexedIncident)],
    ["incident = ?", incident],
    ["pod = ?", query.pod],
    [`left(program, ${indexedPath}) = ?`, program && beginOf(program)],
    ["program = ?", program],
    ["acknowledged = ?", acknowledged === undefined ? undefined : Number(acknowledged)],
    ["at >= ?", query.since],
    ["at < ?", query.until],
    ["record < ?", query.before],
    ["record > ?", query.after],
  ];
  const given = conditions.filter(([, value]) => value !== undefined);
  const texts = given.map(([sql], at) => sql.replace("?", `$${at + 1}`));
  return {
    where: texts.length === 0 ? "" : `WHERE ${texts.join(" AND ")}`,
    values: given.flatMap(([, value]) =>
      typeof value === "string" ? plain(value) : (value ?? []),
    ),
  };
}

function rankOf(severity: AlertQuery["type"]): number {
  return severities.findIndex((one) => one === severity);
}

/** Of a glob its literal beginning, by which the index finds it, and the whole as a pattern of LIKE. */
function pathConditions(path: string | undefined): readonly (readonly [string, string])[] {
  if (path === undefined) return [];
  const [literal = ""] = /^[^*?]*/.exec(path) ?? [];
  const begin = escaped(beginOf(literal));
  const indexed = [`left(path, ${indexedPath}) LIKE ?`, `${begin}%`] as const;
  if (literal === path) return [indexed, ["path = ?", path]];
  return [...(begin === "" ? [] : [indexed]), ["path LIKE ?", patternOf(path)]];
}

function nameConditions(names: readonly string[]): readonly (readonly [string, string])[] {
  const begins = new Set(names.map(beginOf));
  return [
    [`left(path, ${indexedPath}) = ANY (?::text[])`, arrayOf([...begins])],
    ["path = ANY (?::text[])", arrayOf(names)],
  ];
}

/** What the indexes hold of a path: left(path, 512) counts characters. */
function beginOf(path: string): string {
  return Array.from(path).slice(0, indexedPath).join("");
}

/** A path with "*" and "?" as a pattern of LIKE. */
export function patternOf(path: string): string {
  return escaped(path).replaceAll("*", "%").replaceAll("?", "_");
}

/** A text that LIKE takes literally. */
function escaped(text: string): string {
  return text.replaceAll(/[\\%_]/g, "\\$&");
}

export function isGlob(path: string | undefined): path is string {
  return path !== undefined && /[*?]/.test(path);
}
