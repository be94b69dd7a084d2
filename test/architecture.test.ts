import test from "ava";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { posix } from "node:path";
import { parseSync } from "oxc-parser";

const src = join(import.meta.dirname, "..", "src");

/** What each folder of src/ may import of the others, as docs and the picture of the data's way have it. */
const table: Readonly<Record<string, readonly string[]>> = {
  core: [],
  linux: ["core"],
  sqlite: ["core"],
  policy: ["core"],
  observe: ["core", "linux"],
  attribute: ["core", "linux"],
  watch: ["core", "linux"],
  baseline: ["core", "sqlite"],
  outbox: ["core", "sqlite"],
  deliver: ["core"],
  config: ["core", "policy", "deliver"],
  // A node that is open, and its state.
  node: ["core", "linux", "sqlite", "policy", "observe", "baseline", "outbox", "config"],
  health: ["core", "config"],
  // One commit holds the current row, the head of the chain and the outbox row.
  reconcile: [
    "core",
    "linux",
    "sqlite",
    "observe",
    "watch",
    "baseline",
    "outbox",
    "config",
    "node",
    "health",
  ],
  agent: ["*"],
  collector: ["*"],
  cli: ["*"],
};

/** Libraries that one folder alone may import. */
const owners: Readonly<Record<string, string>> = {
  koffi: "linux",
  chokidar: "watch",
  yargs: "cli",
};

/** All that the pure core may import from outside. */
const pure: readonly string[] = ["node:crypto", "node:buffer"];

/** A clock, randomness, the process and timers are arguments of core, never reached for. */
const impure =
  /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\brandom(?:Bytes|UUID|Int|FillSync)\b|\bgetRandomValues\b|\bperformance\.now\b|\bprocess\.(?:env|argv|platform|hrtime|uptime|cwd)\b|\bset(?:Timeout|Interval|Immediate)\(/;

const mostLines = 300;

type Sources = ReadonlyMap<string, string>;

function readSources(): Sources {
  const files = globSync("**/*.ts", { cwd: src });
  return new Map(files.map((file) => [file, readFileSync(join(src, file), "utf8")]));
}

const blank = (text: string): string => text.replace(/[^\n]/g, " ");

/** The source with its comments blanked; positions stay. */
function withoutComments(file: string, source: string): string {
  const { comments } = parseSync(file, source);
  return comments.reduceRight(
    (text, { start, end }) =>
      text.slice(0, start) + blank(text.slice(start, end)) + text.slice(end),
    source,
  );
}

interface Syntax {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

function isSyntax(value: unknown): value is Syntax {
  return typeof value === "object" && value !== null && typeof (value as Syntax).type === "string";
}

function* syntaxOf(value: unknown): Generator<Syntax> {
  if (Array.isArray(value)) for (const one of value) yield* syntaxOf(one);
  if (!isSyntax(value)) return;
  yield value;
  for (const child of Object.values(value))
    if (Array.isArray(child) || isSyntax(child)) yield* syntaxOf(child);
}

/** The text of a string or of a template without expressions. */
function textOf(node: unknown): string | undefined {
  if (!isSyntax(node)) return undefined;
  if (node.type === "Literal" && typeof node["value"] === "string") return node["value"];
  if (node.type !== "TemplateLiteral" || (node["quasis"] as unknown[]).length !== 1)
    return undefined;
  return (node["quasis"] as { value: { cooked: string } }[])[0]?.value.cooked;
}

/** Every module a source names: types and values, static and dynamic, re-exports, and the files of workers. */
function importsOf(file: string, source: string): readonly string[] {
  const { program, errors } = parseSync(file, source);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);
  return [...syntaxOf(program.body)].flatMap((node) => {
    const name = moduleOf(node);
    return name === undefined ? [] : [name];
  });
}

function moduleOf(node: Syntax): string | undefined {
  switch (node.type) {
    case "ImportDeclaration":
    case "ExportNamedDeclaration":
    case "ExportAllDeclaration":
    case "ImportExpression":
    case "TSImportType":
      return textOf(node["source"]);
    case "CallExpression":
      return nameOf(node["callee"]) === "require" ? textOf(argumentsOf(node)[0]) : undefined;
    case "NewExpression": {
      const file = nameOf(node["callee"]) === "URL" ? textOf(argumentsOf(node)[0]) : undefined;
      return file !== undefined && /^\..*\.[jt]s$/.test(file) ? file : undefined;
    }
    default:
      return undefined;
  }
}

const nameOf = (node: unknown): unknown => (isSyntax(node) ? node["name"] : undefined);
const argumentsOf = (node: Syntax): readonly unknown[] => node["arguments"] as readonly unknown[];

/** The source with its comments and strings blanked; templates hold code and stay. */
function withoutText(file: string, source: string): string {
  const { program } = parseSync(file, source);
  const strings = [...syntaxOf(program.body)].filter(
    ({ type, value }) => type === "Literal" && typeof value === "string",
  );
  return strings.reduce(
    (text, { start, end }) => text.slice(0, start) + " ".repeat(end - start) + text.slice(end),
    withoutComments(file, source),
  );
}

const folderOf = (file: string): string => file.split("/")[0] ?? "";

function faultOf(file: string, name: string): string | undefined {
  const from = folderOf(file);
  if (!name.startsWith(".")) {
    const library = name.startsWith("@") ? name : (name.split("/")[0] ?? name);
    if (from === "core" && !pure.includes(name)) return `core imports ${name}`;
    const owner = owners[library];
    return owner === undefined || owner === from ? undefined : `${from} imports ${library}`;
  }
  const target = posix.join(posix.dirname(file), name);
  if (target.startsWith("../")) return `${from} imports ${target}, outside of src`;
  const to = folderOf(target);
  const allowed = table[from];
  if (allowed === undefined) return `${from} is not in the table`;
  if (to === from) return undefined;
  if (to === "cli") return `${from} imports cli`;
  return allowed.includes("*") || allowed.includes(to) ? undefined : `${from} imports ${to}`;
}

/** Every breach of the table, of core's purity, of the size of a file and of the ban on console. */
function faults(sources: Sources): readonly string[] {
  let seen = 0;
  const found: string[] = [];
  for (const [file, source] of sources) {
    const names = importsOf(file, source);
    seen += names.length;
    const code = withoutComments(file, source);
    const lines = code.split("\n").filter((line) => line.trim() !== "").length;
    found.push(...names.map((name) => faultOf(file, name)).filter((fault) => fault !== undefined));
    if (/\bconsole\s*[.[]/.test(withoutText(file, source)))
      found.push(`${folderOf(file)} uses console`);
    if (lines > mostLines) found.push(`${folderOf(file)} has a file of ${lines} lines`);
    const reached =
      folderOf(file) === "core" ? impure.exec(withoutText(file, source))?.[0] : undefined;
    if (reached !== undefined) found.push(`core reaches for ${reached}`);
  }
  return seen === 0 ? [...found, "no import was seen"] : found.toSorted();
}

const planted = (file: string, source: string): readonly string[] =>
  faults(new Map([[file, `import "node:buffer";\n${source}`]]));

test("imports point one way, as the table says", (t) => {
  const sources = readSources();
  t.deepEqual(faults(sources), []);
  t.true(sources.size > 8);
  t.true(
    [...sources].some(
      ([file, source]) => file.startsWith("linux/") && importsOf(file, source).includes("koffi"),
    ),
  );
});

/** Pairs that the table allows and no file uses. */
function unusedPairs(sources: Sources): readonly string[] {
  const used = new Set(
    [...sources].flatMap(([file, source]) =>
      importsOf(file, source)
        .filter((name) => name.startsWith("."))
        .map((name) => `${folderOf(file)} -> ${folderOf(posix.join(posix.dirname(file), name))}`),
    ),
  );
  return Object.entries(table)
    .flatMap(([from, allowed]) =>
      allowed.filter((to) => to !== "*").map((to) => `${from} -> ${to}`),
    )
    .filter((pair) => !used.has(pair));
}

test("the table allows no import that no file needs", (t) => {
  const sources = readSources();
  t.deepEqual(unusedPairs(sources), []);
  const without = [...sources].filter(([file]) => folderOf(file) !== "outbox");
  t.deepEqual(unusedPairs(new Map(without)), ["outbox -> core", "outbox -> sqlite"]);
});

test("a checker that saw no import says so instead of passing", (t) => {
  t.deepEqual(faults(new Map()), ["no import was seen"]);
  t.deepEqual(faults(new Map([["core/a.ts", "export const a = 1;"]])), ["no import was seen"]);
});

const violations: readonly (readonly [file: string, source: string, fault: string])[] = [
  ["core/a.ts", 'import { open } from "../sqlite/open.ts";', "core imports sqlite"],
  ["core/a.ts", 'import type { Engine } from "../watch/engine.ts";', "core imports watch"],
  ["core/a.ts", 'import { readFileSync } from "node:fs";', "core imports node:fs"],
  ["core/a.ts", 'import { parse } from "yaml";', "core imports yaml"],
  ["core/a.ts", 'import picomatch from "picomatch";', "core imports picomatch"],
  ["core/a.ts", "const now = Date.now();", "core reaches for Date.now"],
  ["core/a.ts", "const at = new Date();", "core reaches for new Date()"],
  ["core/a.ts", "const id = Math.random();", "core reaches for Math.random"],
  ["core/a.ts", "const home = process.env.HOME;", "core reaches for process.env"],
  ["core/a.ts", "setTimeout(() => {}, 1);", "core reaches for setTimeout("],
  ["linux/a.ts", 'import { compare } from "../observe/a.ts";', "linux imports observe"],
  ["sqlite/a.ts", 'import { fd } from "../linux/libc.ts";', "sqlite imports linux"],
  [
    "watch/a.ts",
    'import {\n  enqueue,\n  lease,\n} from "../outbox/outbox.ts";',
    "watch imports outbox",
  ],
  ["deliver/a.ts", 'export { current } from "../baseline/current.ts";', "deliver imports baseline"],
  ["deliver/a.ts", 'export * from "../reconcile/a.ts";', "deliver imports reconcile"],
  ["baseline/a.ts", 'const a = await import("../outbox/outbox.ts");', "baseline imports outbox"],
  [
    "observe/a.ts",
    'new Worker(new URL("../watch/worker.ts", import.meta.url));',
    "observe imports watch",
  ],
  ["policy/a.ts", 'import "../explain/certificate.ts";', "policy imports explain"],
  ["agent/a.ts", 'import { print } from "../cli/print.ts";', "agent imports cli"],
  ["collector/a.ts", 'import { print } from "../cli/print.ts";', "collector imports cli"],
  ["newcomer/a.ts", 'import { link } from "../core/chain.ts";', "newcomer is not in the table"],
  [
    "agent/a.ts",
    'import { x } from "../../test/x.ts";',
    "agent imports ../test/x.ts, outside of src",
  ],
  ["observe/a.ts", 'import koffi from "koffi";', "observe imports koffi"],
  ["agent/a.ts", 'const koffi = require("koffi");', "agent imports koffi"],
  ["agent/a.ts", 'import { watch } from "chokidar";', "agent imports chokidar"],
  ["agent/a.ts", 'import { hideBin } from "yargs/helpers";', "agent imports yargs"],
  ["cli/a.ts", 'console.log("x");', "cli uses console"],
  ["cli/a.ts", "const a = 1;\n".repeat(mostLines), `cli has a file of ${mostLines + 1} lines`],
];

test("each kind of planted violation is caught", (t) => {
  for (const [file, source, fault] of violations)
    t.deepEqual(planted(file, source), [fault], source);
});

test("what only looks like a violation is let pass", (t) => {
  const allowed: readonly (readonly [string, string])[] = [
    ["core/a.ts", '// import { open } from "../sqlite/open.ts";\n/* Date.now() */'],
    ["core/a.ts", 'import { sign } from "node:crypto";'],
    ["core/a.ts", "const at = new Date(now).toISOString();"],
    ["core/a.ts", 'const field = "actor.process.env"; const label = "console.log";'],
    ["core/a.ts", 'const url = "https://example.org//x"; // console.log()'],
    [
      "watch/a.ts",
      'import type { Actor } from "../core/hint.ts";\nimport { own } from "./own.ts";',
    ],
    ["reconcile/a.ts", 'import { find } from "../node/node.ts";'],
    ["agent/a.ts", 'import { watch } from "../watch/select.ts";'],
    ["cli/a.ts", `${"const a = 1;\n".repeat(mostLines - 1)}\n\n// more\n/* and\nmore */\n`],
  ];
  for (const [file, source] of allowed) t.deepEqual(planted(file, source), [], source);
});
