import type { Severity } from "../policy/rule.ts";

/** What a node says of itself and that is equal on all nodes of a sound cluster: by its name. */
export type Facts = Readonly<Record<string, string>>;

export interface Compared {
  readonly id: number;
  readonly facts: Facts;
}

/** A node that differs from the others in one fact. */
export interface Outlier {
  readonly id: number;
  readonly fact: string;
  readonly value: string;
  /** Of the majority. Absent: there is none, all differ from each other. */
  readonly expected?: string;
}

/**
 * Compares the nodes of one cluster in every fact that at least two of them have. Where most agree, the others are the
 * outliers; where there is no majority, none can be said to be right, and all are.
 */
export function outliersOf(nodes: readonly Compared[]): readonly Outlier[] {
  const names = new Set(nodes.flatMap(({ facts }) => Object.keys(facts)));
  return [...names].toSorted().flatMap((fact) => outliersIn(fact, nodes));
}

function outliersIn(fact: string, nodes: readonly Compared[]): readonly Outlier[] {
  const having = nodes.flatMap(({ id, facts }) =>
    facts[fact] === undefined ? [] : [{ id, value: facts[fact] }],
  );
  const groups = Map.groupBy(having, ({ value }) => value);
  if (groups.size < 2) return [];
  const [largest] = [...groups].toSorted(([, a], [, b]) => b.length - a.length);
  const isMajority = largest !== undefined && largest[1].length * 2 > having.length;
  const expected = isMajority ? largest[0] : undefined;
  return having
    .filter(({ value }) => value !== expected)
    .map(({ id, value }) => ({ id, fact, value, ...(expected !== undefined && { expected }) }));
}

/** A certificate authority of its own is an attack until shown otherwise; another program may be an upgrade. */
export function outlierSeverity(fact: string): Severity {
  if (/\/(?:pki|tls)\//.test(fact)) return "critical";
  return fact === "policy" ? "high" : "medium";
}
