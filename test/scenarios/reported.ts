import type { ChangeKind, Field } from "../../src/core/change/change.ts";
import type { Severity } from "../../src/core/policy/rule.ts";
import type { Facts } from "./plane.ts";

/** What has to be reported of one path. Nothing else may be reported: neither another change nor `from`, `via` or `count`. */
export interface Reported {
  readonly path: string;
  readonly pathBase64?: string;
  readonly change: ChangeKind;
  readonly fields?: readonly Field[];
  readonly severity: Severity;
  readonly from?: string;
  /** Only `watch` can know it. */
  readonly via?: string | RegExp;
  /** Of a save in which the old file was the one with a name for a moment: an engine that guesses may name it. */
  readonly mayVia?: string;
  readonly count?: number;
  /** Some of what is said of the file, in addition to what the filesystem shows. */
  readonly before?: Readonly<Record<string, unknown>>;
  readonly after?: Readonly<Record<string, unknown>>;
}

type Object = Readonly<Record<string, unknown>>;

/** One line of `check --format ndjson`, or `unmapped.fim` of an alert. */
export interface Shown {
  readonly path: string;
  readonly pathBase64?: string;
  readonly change: ChangeKind;
  readonly fields?: readonly Field[];
  readonly severity: Severity;
  readonly verdict: string;
  readonly rule: string;
  readonly class: string;
  readonly from?: string;
  readonly via?: string;
  readonly count?: number;
  readonly before?: Object;
  readonly after?: Object;
  readonly engine?: string;
  readonly actor?: Object;
  readonly offline?: true;
}

export interface Truth {
  readonly before: ReadonlyMap<string, Facts>;
  readonly after: ReadonlyMap<string, Facts>;
}

/** What is reported and what has to be reported, side by side and in the same order: for t.deepEqual. */
export function sideBySide(
  shown: readonly Shown[],
  reported: readonly Reported[],
  mayKnowVia: boolean,
): { readonly shown: readonly Object[]; readonly reported: readonly Object[] } {
  const sorted = inOrder(shown);
  const due = inOrder(reported);
  return {
    shown: sorted.map((one, at) => ({
      ...core(one),
      verdict: one.verdict,
      ...viaOf(one, due[at]),
      before: picked(one.before, due[at]?.before),
      after: picked(one.after, due[at]?.after),
    })),
    reported: due.map((one) => ({
      ...core(one),
      verdict: "unexpected",
      ...(one.via !== undefined && mayKnowVia && { via: String(one.via) }),
      before: one.before ?? {},
      after: one.after ?? {},
    })),
  };
}

/** Where what is reported contradicts the filesystem, or itself. */
export function contradictions(shown: readonly Shown[], truth: Truth): readonly string[] {
  return shown.flatMap((one) => contradictionsOf(one, truth));
}

function contradictionsOf(one: Shown, { before, after }: Truth): readonly string[] {
  const key = keyOf(one);
  const had = before.get(key) ?? (one.from === undefined ? undefined : before.get(one.from));
  const has = after.get(key);
  const faults = [
    ...unlike(`${one.path}: before`, one.before, one.change === "created" ? undefined : had),
    ...unlike(`${one.path}: after`, one.after, one.change === "deleted" ? undefined : has),
  ];
  if (!had || !has || one.fields === undefined) return faults;
  const plain = had.type === has.type;
  const differs: Partial<Record<Field, boolean>> = {
    type: !plain,
    content: plain && had.sha256 !== has.sha256,
    owner: had.uid !== has.uid,
    group: had.gid !== has.gid,
    target: plain && had.target !== has.target,
    ...(plain && had.type !== "symlink" && { mode: had.mode !== has.mode }),
  };
  for (const [field, isDue] of Object.entries(differs))
    if (one.fields.includes(field as Field) !== isDue)
      faults.push(
        `${one.path}: ${field} should ${isDue ? "" : "not "}be among ${one.fields.join()}`,
      );
  return faults;
}

function unlike(what: string, shown: Object | undefined, facts: Facts | undefined): string[] {
  if (!shown || !facts)
    return !shown === !facts ? [] : [`${what} is ${shown ? "there" : "missing"}`];
  return Object.entries(facts)
    .filter(([name, value]) => shown[name] !== value)
    .map(([name, value]) => `${what}.${name} is ${String(shown[name])}, the file has ${value}`);
}

function keyOf({ path, pathBase64 }: Shown): string {
  const bytes = pathBase64 === undefined ? Buffer.from(path) : Buffer.from(pathBase64, "base64");
  return bytes.toString("latin1");
}

function core({
  path,
  pathBase64,
  change,
  fields,
  severity,
  from,
  count,
}: Shown | Reported): Object {
  return {
    path,
    change,
    severity,
    ...(fields && { fields }),
    ...(pathBase64 !== undefined && { pathBase64 }),
    ...(from !== undefined && { from }),
    ...(count !== undefined && { count }),
  };
}

function viaOf({ via }: Shown, due: Reported | undefined): Object {
  if (via === undefined || via === due?.mayVia) return {};
  return { via: due?.via instanceof RegExp && due.via.test(via) ? String(due.via) : via };
}

function picked(shown: Object | undefined, due: Object | undefined): Object {
  return Object.fromEntries(Object.keys(due ?? {}).map((name) => [name, shown?.[name]]));
}

function inOrder<One extends { readonly path: string }>(list: readonly One[]): readonly One[] {
  return list.toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}
