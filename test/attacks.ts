import { readFileSync } from "node:fs";
import { join } from "node:path";

/*
 * Makes docs/attacks.md of the titles of tests: node test/attacks.ts > docs/attacks.md
 */

const chapters: readonly (readonly [heading: string, files: readonly string[]])[] = [
  ["Who did it", ["executed-later", "attribution", "writers", "static-pods"]],
  ["The state directory", ["altered", "self", "signed-policy"]],
  ["The policy", ["policy-lint", "recognised", "uncompared"]],
  [
    "Blinding and losing",
    [
      "unmarkable",
      "locked",
      "replaced-root",
      "unrest",
      "burst",
      "storm",
      "crash",
      "limits",
      "privileges",
    ],
  ],
  ["Mounts", ["mounts"]],
  ["Changes, each reported as what it is, by every engine and by check", ["cases"]],
  ["What could hide among the normal", ["etcd", "rotation", "transient", "quiet"]],
];

const scenarios = join(import.meta.dirname, "scenarios");

/** Literal titles of a test file: of test("…"), of what declares or skips tests, and of tables of cases. */
export function titlesOf(source: string): readonly string[] {
  const declared =
    /^ *(?:test(?:\.serial)?|[a-z]+|[a-z]+\([^()\n]*(?:\([^()\n]*\))?[^()\n]*\))\(\s*(["`])((?:(?!\1).)+)\1,/gm;
  const listed = /^ *title:\s*(")((?:(?!").)+)",?$/gm;
  return [declared, listed]
    .flatMap((pattern) => [...source.matchAll(pattern)])
    .toSorted((a, b) => a.index - b.index)
    .map(([, , title = ""]) => title.replace(/\$\{why\}$/, "").replace(/^with \$\{engine\}, /, ""))
    .filter((title) => title.includes(" ") && !title.includes("${") && /^[a-zA-Z]/.test(title));
}

/** The whole page. */
export function attacksPage(): string {
  const parts = chapters.map(([heading, files]) => {
    const titles = files.flatMap((file) => titlesOf(readScenario(file)));
    return `## ${heading}\n\n${titles.map((title) => `- ${title}\n`).join("")}`;
  });
  return `${head}\n${parts.join("\n")}`;
}

const head = `# What was tried against the agent, and how it ended

Each line is the title of a test that tries it on real files, with real processes, and holds the agent to the end that the line states. \`npm test\` runs them all; \`node test/attacks.ts > docs/attacks.md\` makes this page, and a test holds it to be current. What the agent does not see is in [the threat model](threat-model.md).
`;

function readScenario(name: string): string {
  const file = name === "cases" ? "cases.ts" : `${name}.test.ts`;
  return readFileSync(join(scenarios, file), "utf8");
}

if (import.meta.main) process.stdout.write(attacksPage());
