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
  const having = nodes.flatMap(({ id, facts }) => {
    const value = facts[fact] ?? absenceOf(fact, facts);
    return value === undefined ? [] : [{ id, value }];
  });
  const groups = Map.groupBy(having, ({ value }) => value);
  if (groups.size < 2) return [];
  const [largest] = [...groups].toSorted(([, a], [, b]) => b.length - a.length);
  const isMajority = largest !== undefined && largest[1].length * 2 > having.length;
  const expected = isMajority ? largest[0] : undefined;
  return having
    .filter(({ value }) => value !== expected)
    .map(({ id, value }) => ({ id, fact, value, ...(expected !== undefined && { expected }) }));
}

const absent = "absent";

/** A flag that a node's manifest lacks differs from one that it has. A node without the manifest has no such fact. */
function absenceOf(fact: string, facts: Facts): string | undefined {
  const [component = ""] = fact.split(" --", 1);
  if (component === fact) return undefined;
  return Object.keys(facts).some((one) => one.startsWith(`${component} `)) ? absent : undefined;
}

/** A certificate authority of its own is an attack until shown otherwise; another program may be an upgrade. */
export function outlierSeverity(fact: string): Severity {
  if (/\/(?:pki|tls)\//.test(fact)) return "critical";
  return fact === "policy" || fact.includes(" --") ? "high" : "medium";
}

const minute = 60_000;

/** Milliseconds for which nodes may differ: an upgrade goes from node to node, a certificate authority does not. */
export function outlierPatience(fact: string): number {
  if (/ image$|\/bin\//.test(fact)) return 60 * minute;
  return fact.includes(" --") ? 10 * minute : 0;
}
