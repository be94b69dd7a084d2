import { IntegrityError } from "../error.ts";
import { parseGlob } from "./globs.ts";
import type { Glob } from "./globs.ts";
import { joinPath } from "../path.ts";
import type { Match, Rule, RuleTree } from "./rule.ts";

/** A glob that matches a path, and the exclusion of its rule, if any. */
export interface Candidate extends Match {
  /** The glob's text before its first wildcard: the longer, the more specific. */
  readonly prefix: string;
  /** The glob names exactly this path. */
  readonly literal: boolean;
  /** The rule's own exclusion that matches the path. */
  readonly excludedBy?: string;
}

/** Every rule that matches a path, the deciding one first. */
export interface Explanation {
  readonly path: string;
  /** Absent: not watched. */
  readonly match?: Match;
  readonly candidates: readonly Candidate[];
  /** Number of trie nodes and patterns visited. */
  readonly steps: number;
}

/** A RuleTree that also explains. */
export interface Rules extends RuleTree {
  explain(path: string): Explanation;
}

interface Entry {
  readonly rule: Rule;
  readonly glob: string;
  readonly prefix: string;
  readonly literal: boolean;
  /** Precedence: the longer literal prefix, then the later rule. */
  readonly rank: number;
  readonly order: number;
  /** The rule's exclusions, as a trie of their own. */
  readonly exclude: Node;
}

/** A node stands for one brace-free glob; the components that lead to it are its spelling. */
interface Node {
  readonly literals: Map<string, Node>;
  readonly patterns: Map<string, { readonly regex: RegExp; readonly node: Node }>;
  /** Behind a "**". */
  deep: Node | undefined;
  /** It is itself behind a "**": it stays for every further name. */
  readonly stays: boolean;
  /** Ends of globs, the latest last: at one node that is also the most specific. */
  readonly entries: Entry[];
}

/** Prepares rules for finding paths: a trie by name, so that the cost does not grow with the number of rules. */
export function compileRules(rules: readonly Rule[]): Rules {
  const trie = newNode(false);
  for (const [order, rule] of rules.entries()) {
    const exclude = newNode(false);
    const own = { rule, order, exclude };
    for (const text of rule.exclude) insert(exclude, text, own);
    for (const text of rule.paths) insert(trie, text, own);
  }
  return {
    find(path) {
      const best = decisive(walk(trie, path).nodes);
      return best && !endOf(best.exclude, path) ? { rule: best.rule, glob: best.glob } : undefined;
    },
    mayMatchBelow: (dir) => mayMatchBelow(trie, dir),
    inside: (dir) => [...inside(trie, dir)],
    explain: (path) => explain(trie, path),
    roots: rootsOf(trie, "/").toSorted(),
  };
}

function newNode(stays: boolean): Node {
  return { literals: new Map(), patterns: new Map(), deep: undefined, stays, entries: [] };
}

function insert(trie: Node, text: string, own: Pick<Entry, "rule" | "order" | "exclude">): void {
  const parsed = parseGlob(text);
  if ("problem" in parsed)
    throw new IntegrityError("POLICY_INVALID", `rule ${own.rule.id}: ${text} ${parsed.problem}`);
  for (const glob of parsed.globs) {
    const { prefix, literal } = glob;
    // A path's own name is more specific than the same directory's "dir/**".
    const rank = prefix.length + (literal ? 1 : 0);
    nodeOf(trie, glob).entries.push({ ...own, glob: text, prefix, literal, rank });
  }
}

function nodeOf(trie: Node, glob: Glob): Node {
  let node = trie;
  for (const component of glob.components) {
    if (component.kind === "deep") node = node.deep ??= newNode(true);
    else if (component.kind === "literal") {
      const next = node.literals.get(component.name) ?? newNode(false);
      node.literals.set(component.name, next);
      node = next;
    } else {
      const { source, regex } = component;
      const next = node.patterns.get(source) ?? { regex, node: newNode(false) };
      node.patterns.set(source, next);
      node = next.node;
    }
  }
  return node;
}

/** The nodes that a path leads to: all ways through the trie at once, so that "**" needs no backtracking. */
function walk(trie: Node, path: string): { readonly nodes: readonly Node[]; steps: number } {
  let nodes: Node[] = [];
  enter(trie, nodes);
  let steps = nodes.length;
  for (let from = 1; from < path.length && nodes.length > 0;) {
    const slash = path.indexOf("/", from);
    const name = path.slice(from, slash < 0 ? path.length : slash);
    from += name.length + 1;
    const next: Node[] = [];
    for (const node of nodes) {
      steps += 1 + node.patterns.size;
      if (node.stays && !next.includes(node)) next.push(node);
      enter(node.literals.get(name), next);
      for (const pattern of node.patterns.values())
        if (pattern.regex.test(name)) enter(pattern.node, next);
    }
    nodes = next;
  }
  return { nodes, steps };
}

function enter(node: Node | undefined, nodes: Node[]): void {
  if (!node) return;
  nodes.push(node);
  if (node.deep && !nodes.includes(node.deep)) nodes.push(node.deep);
}

function decisive(nodes: readonly Node[]): Entry | undefined {
  let best: Entry | undefined;
  for (const node of nodes) {
    const entry = node.entries.at(-1);
    if (entry && (!best || precedence(entry, best) < 0)) best = entry;
  }
  return best;
}

/** Negative: a decides before b. */
function precedence(a: Entry, b: Entry): number {
  return b.rank - a.rank || b.order - a.order;
}

function endOf(trie: Node, path: string): Entry | undefined {
  return walk(trie, path).nodes.find((node) => node.entries.length > 0)?.entries[0];
}

function explain(trie: Node, path: string): Explanation {
  const { nodes, steps } = walk(trie, path);
  const entries = nodes.flatMap((node) => node.entries).toSorted(precedence);
  const seen = new Set<string>();
  const candidates = entries
    .filter(({ rule, glob }) => {
      const key = `${rule.id}\0${glob}`;
      return !seen.has(key) && seen.add(key);
    })
    .map(({ rule, glob, prefix, literal, exclude }): Candidate => {
      const excludedBy = endOf(exclude, path)?.glob;
      return { rule, glob, prefix, literal, ...(excludedBy !== undefined && { excludedBy }) };
    });
  const [first] = candidates;
  const match = first && first.excludedBy === undefined && { rule: first.rule, glob: first.glob };
  return { path, ...(match && { match }), candidates, steps };
}

function mayMatchBelow(trie: Node, dir: string): boolean {
  const { nodes } = walk(trie, dir);
  // A match here decides for everything below, unless a more specific rule does.
  const decided = decisive(nodes.filter((node) => node.stays));
  return nodes.some((node) => leadsToMatch(node, dir, decided));
}

function leadsToMatch(node: Node, dir: string, decided: Entry | undefined): boolean {
  const open = node.entries.some(
    (entry) =>
      (!decided || precedence(entry, decided) <= 0) &&
      !walk(entry.exclude, dir).nodes.some((one) => one.stays && one.entries.length > 0),
  );
  if (open) return true;
  for (const next of node.literals.values()) if (leadsToMatch(next, dir, decided)) return true;
  for (const next of node.patterns.values()) if (leadsToMatch(next.node, dir, decided)) return true;
  return node.deep ? leadsToMatch(node.deep, dir, decided) : false;
}

/** A wider "**" that covers the directory covers its entries too: `find` asks for it. */
function inside(trie: Node, dir: string): ReadonlySet<Rule> {
  const found = new Set<Rule>();
  const waiting = [...walk(trie, dir).nodes];
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    for (const next of childrenOf(node)) {
      for (const { rule } of next.entries) found.add(rule);
      waiting.push(next);
    }
  }
  return found;
}

function* childrenOf({ literals, patterns, deep }: Node): Iterable<Node> {
  yield* literals.values();
  for (const { node } of patterns.values()) yield node;
  if (deep) yield deep;
}

function rootsOf(node: Node, path: string): string[] {
  if (node.entries.length > 0 || node.patterns.size > 0 || node.deep) return [path];
  return [...node.literals].flatMap(([name, next]) => rootsOf(next, joinPath(path, name)));
}
