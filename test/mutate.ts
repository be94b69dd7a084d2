import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

/*
 * Changes one operator at a time in a copy of the sources and runs the unit tests of that file; lists the changes that
 * no test notices. Slow, therefore on demand: node test/mutate.ts src/core/policy/audit.ts …
 */

export interface Mutant {
  readonly line: number;
  readonly what: string;
  readonly source: string;
}

const swaps: readonly (readonly [from: RegExp, to: string])[] = [
  [/ === /g, " !== "],
  [/ !== /g, " === "],
  [/ && /g, " || "],
  [/ \|\| /g, " && "],
  [/ \?\? /g, " && "],
  [/ <= /g, " < "],
  [/ >= /g, " > "],
  [/ < /g, " <= "],
  [/ > /g, " >= "],
  [/ \+ /g, " - "],
  [/ - /g, " + "],
  [/ & /g, " | "],
  [/ \* /g, " / "],
  [/ \/ /g, " * "],
  [/\bMath\.floor\(/g, "Math.ceil("],
  [/\bMath\.ceil\(/g, "Math.floor("],
  [/\bMath\.min\(/g, "Math.max("],
  [/\bMath\.max\(/g, "Math.min("],
  [/\btrue\b/g, "false"],
  [/\bfalse\b/g, "true"],
  [/\.every\(/g, ".some("],
  [/\.some\(/g, ".every("],
];

/** Every change of one operator. Lines of comments, imports and types are left as they are. */
export function* mutantsOf(source: string): Iterable<Mutant> {
  const lines = source.split("\n");
  for (const [at, text] of lines.entries()) {
    if (/^\s*(?:\/?\*|\/\/|import |export type |type |\| |readonly )/.test(text)) continue;
    for (const [from, to] of swaps)
      for (const { index, 0: found } of text.matchAll(from)) {
        const changed = text.slice(0, index) + to + text.slice(index + found.length);
        const what = `${found.trim()} -> ${to.trim()}: ${text.trim()}`;
        yield { line: at + 1, what, source: lines.with(at, changed).join("\n") };
      }
  }
}

/** The unit tests of a source file: of its name, or all of its folder. */
function testsOf(file: string, home: string): readonly string[] {
  const own = file.replace(/^src\//, "test/").replace(/\.ts$/, ".test.ts");
  return existsSync(join(home, own)) ? [own] : [`${dirname(own)}/*.test.ts`];
}

function isNoticed(file: string, home: string): boolean {
  const { status } = spawnSync(
    join(home, "node_modules/.bin/ava"),
    ["--fail-fast", ...testsOf(file, home)],
    {
      cwd: home,
      env: {
        ...process.env,
        PATH: `${join(home, "node_modules/.bin")}:${process.env["PATH"] ?? ""}`,
      },
      stdio: "ignore",
      timeout: 120_000,
    },
  );
  return status !== 0;
}

/** Copies what the tests need, so that nothing of the working tree is touched. */
function copyOf(home: string): string {
  const copy = mkdtempSync(join(tmpdir(), "fim-mutants-"));
  for (const name of [
    "src",
    "test",
    "baselines",
    "bin",
    "package.json",
    "ava.config.js",
    "tsconfig.json",
  ])
    cpSync(join(home, name), join(copy, name), { recursive: true });
  symlinkSync(join(home, "node_modules"), join(copy, "node_modules"));
  return copy;
}

function mutate(files: readonly string[]): void {
  const copy = copyOf(join(import.meta.dirname, ".."));
  try {
    for (const file of files) {
      const original = readFileSync(join(copy, file), "utf8");
      if (isNoticed(file, copy)) throw new Error(`${file}: its tests fail without any change`);
      let survivors = 0;
      let count = 0;
      for (const { line, what, source } of mutantsOf(original)) {
        count += 1;
        writeFileSync(join(copy, file), source);
        if (isNoticed(file, copy)) continue;
        survivors += 1;
        process.stdout.write(`${file}:${line}: ${what}\n`);
      }
      writeFileSync(join(copy, file), original);
      process.stdout.write(`${basename(file)}: ${survivors} of ${count} survive\n`);
    }
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

if (import.meta.main) mutate(process.argv.slice(2));
