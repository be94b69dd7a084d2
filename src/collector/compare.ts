import { outlierSeverity, outliersOf } from "../core/record/outlier.ts";
import type { Compared, Facts, Outlier } from "../core/record/outlier.ts";
import { severities } from "../core/policy/rule.ts";
import type { Severity } from "../core/policy/rule.ts";
import { lastHeartbeat } from "./node-state.ts";
import type { StoredNode } from "./store/store.ts";

/** More nodes than these are not shown side by side: those that differ come first then. */
const mostColumns = 24;

/** One fact of the nodes of a cluster. */
interface ComparedFact {
  /** A path, "kube-apiserver --flag", "policy", "agent version" */
  readonly fact: string;
  /** Value by node. A node that does not know the fact is absent. */
  readonly values: Readonly<Record<string, string>>;
  /** Of most nodes. Absent: they are all equal, or there is no majority. */
  readonly expected?: string;
  /** Nodes that differ from most; all of them where there is no majority. None: all are equal. */
  readonly outliers: readonly string[];
  /** Absent: all are equal. */
  readonly severity?: Severity;
}

/** The nodes of one cluster side by side. */
export interface Comparison {
  readonly clusters: readonly string[];
  readonly cluster?: string;
  /** Columns, by name. */
  readonly nodes: readonly string[];
  /** Nodes that have no column. */
  readonly hidden: number;
  /** What differs comes first, the most severe before all. */
  readonly facts: readonly ComparedFact[];
}

/** Compares what the last heartbeats say. `wanted`: a cluster; without it the first. */
export function compareNodes(nodes: readonly StoredNode[], wanted?: string): Comparison {
  const clusters = [...new Set(nodes.map(({ cluster }) => cluster))].toSorted();
  const cluster = wanted ?? clusters[0];
  const members = nodes.filter((one) => one.cluster === cluster);
  const compared = members.map((node) => ({ id: node.id, facts: factsOf(node) }));
  const byFact = Map.groupBy(outliersOf(compared), ({ fact }) => fact);
  const shown = columnsOf(members, byFact);
  const names = new Set(compared.flatMap(({ facts }) => Object.keys(facts)));
  const context = { members, shown, compared };
  const facts = [...names].map((fact) => rowOf(fact, byFact.get(fact) ?? [], context));
  return {
    clusters,
    ...(cluster !== undefined && { cluster }),
    nodes: shown.map(({ node }) => node),
    hidden: members.length - shown.length,
    facts: facts.toSorted((a, b) => rankOf(b) - rankOf(a) || (a.fact < b.fact ? -1 : 1)),
  };
}

function factsOf(node: StoredNode): Facts {
  const heartbeat = lastHeartbeat(node);
  if (!heartbeat) return {};
  const { shared, policy, version, engine, attribution } = heartbeat;
  return {
    ...shared,
    policy: policy.digest,
    "agent version": version,
    "agent engine": engine,
    "agent attribution": attribution,
  };
}

function columnsOf(
  members: readonly StoredNode[],
  byFact: ReadonlyMap<string, readonly Outlier[]>,
): readonly StoredNode[] {
  if (members.length <= mostColumns) return members;
  const differing = new Set([...byFact.values()].flat().map(({ id }) => id));
  const [odd, even] = [true, false].map((differs) =>
    members.filter(({ id }) => differing.has(id) === differs),
  );
  const shown = new Set([...(odd ?? []), ...(even ?? [])].slice(0, mostColumns));
  return members.filter((one) => shown.has(one));
}

interface Context {
  readonly members: readonly StoredNode[];
  readonly shown: readonly StoredNode[];
  readonly compared: readonly Compared[];
}

function rowOf(
  fact: string,
  outliers: readonly Outlier[],
  { members, shown, compared }: Context,
): ComparedFact {
  const own = new Map(compared.map(({ id, facts }) => [id, facts[fact]]));
  const differing = new Map(outliers.map(({ id, value }) => [id, value]));
  const [first] = outliers;
  const values = shown.flatMap(({ id, node }) => {
    const value = own.get(id) ?? differing.get(id);
    return value === undefined ? [] : [[node, value] as const];
  });
  return {
    fact,
    values: Object.fromEntries(values),
    outliers: members.flatMap(({ id, node }) => (differing.has(id) ? [node] : [])),
    ...(first?.expected !== undefined && { expected: first.expected }),
    ...(first && { severity: severityOf(fact) }),
  };
}

/** How the agents run is no alarm: a roll-out changes it from node to node. */
function severityOf(fact: string): Severity {
  return fact.startsWith("agent ") ? "low" : outlierSeverity(fact);
}

function rankOf({ severity }: ComparedFact): number {
  return severity === undefined ? -1 : severities.indexOf(severity);
}
