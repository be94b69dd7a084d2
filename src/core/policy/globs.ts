/** One name of a path, as a glob sees it. */
export type Component =
  | { readonly kind: "literal"; readonly name: string }
  | { readonly kind: "pattern"; readonly source: string; readonly regex: RegExp }
  /** "**": any number of names, also none. */
  | { readonly kind: "deep" };

/** A glob without braces, ready to be put into a trie. */
export interface Glob {
  readonly components: readonly Component[];
  /** The text before the first wildcard, without a final "/". */
  readonly prefix: string;
  /** No wildcard at all: it names exactly one path. */
  readonly literal: boolean;
}

/** Braces multiply; beyond this a glob is a mistake. */
const mostAlternatives = 1000;

/** A glob's text -> one glob for each way through its braces, or why it is not a glob. */
export function parseGlob(
  text: string,
): { readonly globs: readonly Glob[] } | { readonly problem: string } {
  try {
    return { globs: expandBraces(text).map(parseAlternative) };
  } catch (error) {
    if (error instanceof GlobError) return { problem: error.message };
    throw error;
  }
}

/** Why this cannot be the literal path of a file, or undefined when it can. */
export function pathProblem(path: string): string | undefined {
  if (!path.startsWith("/")) return "is not absolute";
  if (path.includes("\0")) return "holds a NUL byte";
  if (path === "/") return undefined;
  const names = path.slice(1).split("/");
  if (names.includes("..")) return 'goes through ".."';
  if (names.includes(".")) return 'goes through "."';
  return names.includes("") ? 'has an empty name (two "/", or one at its end)' : undefined;
}

class GlobError extends Error {}

function parseAlternative(text: string): Glob {
  const problem = pathProblem(text);
  if (problem) throw new GlobError(problem);
  const components: Component[] = [];
  for (const name of text === "/" ? [] : text.slice(1).split("/")) {
    const component = parseComponent(name);
    if (component.kind !== "deep" || components.at(-1)?.kind !== "deep") components.push(component);
  }
  return {
    components,
    prefix: literalPrefix(components),
    literal: components.every((one) => one.kind === "literal"),
  };
}

function literalPrefix(components: readonly Component[]): string {
  let prefix = "";
  for (const component of components) {
    if (component.kind === "literal") prefix += `/${component.name}`;
    else if (component.kind === "deep") return prefix;
    else {
      const start = unescape(/^(?:\\.|[^*?[\\])*/su.exec(component.source)?.[0] ?? "");
      return start === "" ? prefix : `${prefix}/${start}`;
    }
  }
  return prefix;
}

function parseComponent(source: string): Component {
  if (source === "**") return { kind: "deep" };
  const tokens = tokensOf(source);
  if (!tokens.some(isWildcard)) return { kind: "literal", name: unescape(source) };
  if (tokens.some((token, at) => token === "*" && tokens[at + 1] === "*"))
    throw new GlobError('has a "**" that does not stand alone between two "/"');
  return { kind: "pattern", source, regex: regexOf(tokens) };
}

function isWildcard(token: string): boolean {
  return token === "*" || token === "?" || token.startsWith("[");
}

/** A source -> escapes ("\x"), brackets ("[…]") and single characters. */
function tokensOf(source: string): string[] {
  const tokens: string[] = [];
  for (let at = 0; at < source.length;) {
    const token = tokenAt(source, at);
    tokens.push(token);
    at += token.length;
  }
  return tokens;
}

function tokenAt(source: string, at: number): string {
  const char = String.fromCodePoint(source.codePointAt(at) ?? 0);
  if (char === "\\") return escapeAt(source, at);
  if (char !== "[") return char;
  const start = at + (/^\[[!^]/.test(source.slice(at, at + 2)) ? 2 : 1);
  let end = source[start] === "]" ? start + 1 : start;
  while (end < source.length && source[end] !== "]")
    end += source[end] === "\\" ? escapeAt(source, end).length : 1;
  if (end >= source.length) throw new GlobError('has a "[" without its "]"');
  const token = source.slice(at, end + 1);
  if (token.includes("[:")) throw new GlobError("uses a named class such as [:alpha:]");
  return token;
}

function escapeAt(source: string, at: number): string {
  const next = source.codePointAt(at + 1);
  if (next === undefined) throw new GlobError('ends with a "\\"');
  return `\\${String.fromCodePoint(next)}`;
}

function regexOf(tokens: readonly string[]): RegExp {
  const body = tokens.map((token) => {
    if (token === "*") return ".*";
    if (token === "?") return ".";
    if (token.startsWith("[")) return bracket(token);
    return quote(unescape(token));
  });
  try {
    // With "s" and "u" a wildcard stands for any character: a line feed, and a lone surrogate (a bad byte), too.
    return new RegExp(`^${body.join("")}$`, "su");
  } catch {
    throw new GlobError("has a bracket whose range runs backwards");
  }
}

function bracket(token: string): string {
  const negated = token[1] === "!" || token[1] === "^";
  const inside = token.slice(negated ? 2 : 1, -1);
  const members = inside.replace(/\\(.)|[\]^[]/gsu, (one, escaped: string | undefined) =>
    quote(escaped ?? one),
  );
  return `[${negated ? "^" : ""}${members}]`;
}

function quote(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&").replaceAll("-", "\\x2d");
}

function unescape(text: string): string {
  return text.replace(/\\(.)/gsu, "$1");
}

/** "/a/{b,c/d}" -> "/a/b", "/a/c/d". Braces may nest and may hold "/". */
function expandBraces(text: string): string[] {
  const done: string[] = [];
  const open = [text];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const group = firstGroup(next);
    if (!group) done.push(next);
    else {
      const { start, end, choices } = group;
      for (const choice of choices.toReversed())
        open.push(next.slice(0, start) + choice + next.slice(end + 1));
    }
    if (done.length + open.length > mostAlternatives)
      throw new GlobError(`has more than ${mostAlternatives} alternatives in its braces`);
  }
  return done;
}

interface Group {
  readonly start: number;
  readonly end: number;
  readonly choices: readonly string[];
}

function firstGroup(text: string): Group | undefined {
  let depth = 0;
  let start = 0;
  let from = 0;
  const choices: string[] = [];
  for (let at = 0; at < text.length;) {
    const token = tokenAt(text, at);
    if (token === "{" && depth++ === 0) [start, from] = [at, at + 1];
    if (token === "}" && depth === 0) throw new GlobError('has a "}" without its "{"');
    if (depth === 1 && (token === "," || token === "}")) {
      choices.push(text.slice(from, at));
      from = at + 1;
    }
    if (token === "}" && --depth === 0) {
      if (choices.length === 1) throw new GlobError("has braces without a comma");
      return { start, end: at, choices };
    }
    at += token.length;
  }
  if (depth > 0) throw new GlobError('has a "{" without its "}"');
  return undefined;
}
