import test from "ava";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseSync } from "oxc-parser";

const home = join(import.meta.dirname, "..");

/** Words that make a reader translate, and what to write instead. */
const words: readonly (readonly [word: RegExp, instead: string])[] = [
  [/\b(?:un)?told\b/i, "report, say"],
  [/\btell(?:s|ing)?\b/i, "report, say, show"],
  [/\bwho(?:m)?ever\b|\bwhosoever\b/i, "name the process or the person"],
  [/\b(?:no|some|every|any)body\b/i, "name the process or the person"],
  [/\banew\b/i, "again"],
  [/\bof (?:which|whom)\b/i, "split the sentence"],
  [/\bone after the other\b/i, "in turn"],
  [/\bgrave(?:r|st)\b/i, "more severe"],
  [/\bso many\b/i, "this many, a number"],
  [/\bwhat is there\b/i, "what exists, what it names"],
  [/\blest\b|\bthereof\b|\bwherein\b|\bhenceforth\b/i, "plain words"],
];

const patterns = [
  "{src,test,bench,demo}/**/*.ts",
  "*.ts",
  "docs/**/*.md",
  "*.md",
  "baselines/*.yaml",
];

interface Sentence {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** Comments, string literals and template texts of a source; every line of another file. */
function sentencesOf(file: string, source: string): readonly Sentence[] {
  if (!file.endsWith(".ts"))
    return source.split("\n").map((text, at) => ({ file, line: at + 1, text }));
  const { comments, program } = parseSync(file, source);
  const lineOf = (offset: number): number => source.slice(0, offset).split("\n").length;
  const found = comments.map(({ start, value }) => ({ file, line: lineOf(start), text: value }));
  const visit = (node: unknown): void => {
    if (typeof node !== "object" || node === null) return;
    if (Array.isArray(node)) return node.forEach(visit);
    const { type, start, value } = node as { type?: string; start?: number; value?: unknown };
    const text =
      type === "Literal" && typeof value === "string"
        ? value
        : type === "TemplateElement"
          ? (value as { readonly raw: string }).raw
          : undefined;
    if (text !== undefined) found.push({ file, line: lineOf(start ?? 0), text });
    for (const [key, child] of Object.entries(node)) if (key !== "parent") visit(child);
  };
  visit(program.body);
  return found;
}

function faultsIn(sentences: readonly Sentence[]): readonly string[] {
  return sentences.flatMap(({ file, line, text }) =>
    words
      .filter(([word]) => word.test(text))
      .map(([word, instead]) => `${file}:${line}: "${word.exec(text)?.[0]}" (write: ${instead})`),
  );
}

/** This file, which names the words, and texts that others wrote. */
const exempt: ReadonlySet<string> = new Set(["test/language.test.ts"]);

test("comments, messages, test titles and docs are in plain English", (t) => {
  const files = globSync([...patterns], { cwd: home }).filter((file) => !exempt.has(file));
  t.true(files.length > 300);
  const faults = files.flatMap((file) =>
    faultsIn(sentencesOf(file, readFileSync(join(home, file), "utf8"))),
  );
  t.deepEqual(faults, []);
});

const planted: readonly string[] = [
  "a rename is told with both names",
  "an untold change",
  "the kernel tells no pid",
  "whoever opens it",
  "nobody is named",
  "somebody else's file",
  "marks are set anew",
  "a file of which nothing is left",
  "one after the other",
  "the graver of two",
  "after so many milliseconds",
  "compares with what is there",
  "lest it be lost",
];

for (const sentence of planted)
  test(`the words of "${sentence}" are found in comments, strings, templates and prose`, (t) => {
    const one = JSON.stringify(sentence);
    const sources: readonly (readonly [string, string])[] = [
      ["a.ts", `// ${sentence}\nexport {};`],
      ["a.ts", `/** ${sentence} */\nexport const a = 1;`],
      ["a.ts", `export const a = ${one};`],
      ["a.ts", `export const a = \`\${1} ${sentence}\`;`],
      ["a.md", `# Title\n\n${sentence}\n`],
    ];
    for (const [file, source] of sources)
      t.is(faultsIn(sentencesOf(file, source)).length, 1, source);
  });

test("names in code, and words that only contain such a word, pass", (t) => {
  const source =
    "const bytes = telling(); export const x = body.retold; // a busybody's stellar cell";
  t.deepEqual(faultsIn(sentencesOf("a.ts", source)), []);
});
