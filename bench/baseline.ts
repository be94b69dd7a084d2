import Database from "better-sqlite3";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeTree } from "./tree.ts";
import { Scratch, buildProgram, hasProgram, measure, median, printTable, run } from "./program.ts";
import type { Cost } from "./program.ts";

/*
 * How long a baseline and a check take, beside two programs that read the same files in the same run: `find | xargs
 * -P2 openssl dgst -sha256`, and AIDE with two workers and SHA-256 alone. All files are in the page cache. The
 * shipped policy does not hash content that may change, so openssl gets only the hashed files.
 */

type Tree = Parameters<typeof makeTree>[0];

interface Contender {
  readonly name: string;
  /** Not measured. */
  readonly before?: () => void;
  readonly command: string;
  readonly args: readonly string[];
}

const aide = "/usr/bin/aide";

export function benchBaseline(rounds = 5): void {
  using scratch = new Scratch();
  const program = buildProgram(scratch.at("program"));
  const rows: (readonly string[])[] = [];
  for (const tree of ["S", "L"] as const) rows.push(...compare(tree, { scratch, program, rounds }));
  printTable(
    `baseline and check: medians of ${rounds} rounds, warm page cache`,
    ["", "seconds", "of openssl", "CPU s", "peak MB"],
    rows,
  );
}

interface Setting {
  readonly scratch: Scratch;
  readonly program: string;
  readonly rounds: number;
}

function compare(tree: Tree, { scratch, program, rounds }: Setting): (readonly string[])[] {
  const root = scratch.at(tree);
  const { files, bytes } = makeTree(tree, root);
  const own = scratch.policy();
  const list = scratch.at("list");
  const ours = (what: "baseline" | "check", policy: string): Contender => {
    const state = scratch.at(`state-${what}`);
    const options = ["--root", root, "--state", state, "--policy", policy, "--format", "ndjson"];
    const begin = () => void run(program, ["baseline", ...options]);
    if (what === "check") {
      rmSync(state, { recursive: true, force: true });
      begin();
    }
    return {
      name: `fim-agent ${what}${policy === own ? "" : `, policy ${policy}`}`,
      ...(what === "baseline" && {
        before: () => rmSync(state, { recursive: true, force: true }),
      }),
      command: program,
      args: [what, ...options],
    };
  };
  const all = [
    openssl("openssl", `find ${root} -type f -print0`),
    ours("baseline", own),
    ours("check", own),
    ...aideContenders(root, scratch),
  ];
  const result = measured(all, rounds);
  const rows = [[`${tree}: ${files} files, ${(bytes / 1e9).toFixed(2)} GB`], ...result];
  if (tree !== "S") return rows;
  const shipped = ours("check", "kubeadm");
  writeFileSync(list, hashedPaths(scratch.at("state-check"), root).join("\0"));
  const fair = [openssl("openssl, the files that this policy reads", `cat ${list}`)];
  return [...rows, ...measured([...fair, ours("baseline", "kubeadm"), shipped], rounds)];
}

/** Rounds in turn, so that a disturbance hits all alike. The first contender is the measure of the others. */
function measured(contenders: readonly Contender[], rounds: number): (readonly string[])[] {
  const costs = new Map<Contender, Cost[]>(contenders.map((one) => [one, []]));
  for (let round = 0; round < rounds; round += 1)
    for (const [contender, list] of costs) {
      contender.before?.();
      list.push(measure(contender.command, contender.args));
    }
  const of = (contender: Contender | undefined, key: keyof Cost): number =>
    median((contender && costs.get(contender))?.map((cost) => cost[key]) ?? []);
  return contenders.map((one) => [
    `  ${one.name}`,
    of(one, "seconds").toFixed(2),
    (of(one, "seconds") / of(contenders[0], "seconds")).toFixed(2),
    of(one, "cpuSeconds").toFixed(2),
    of(one, "peakMegabytes").toFixed(0),
  ]);
}

/** `source` prints paths, each with a NUL behind it. */
function openssl(name: string, source: string): Contender {
  const script = `${source} | xargs -0 -P2 -n 64 openssl dgst -sha256 >/dev/null`;
  return { name, command: "sh", args: ["-c", script] };
}

function aideContenders(root: string, scratch: Scratch): readonly Contender[] {
  if (!hasProgram(aide)) return [];
  const config = scratch.at("aide.conf");
  const [input, output] = [scratch.at("aide.in"), scratch.at("aide.out")];
  const lines = [
    `database_in=file:${input}`,
    `database_out=file:${output}`,
    "gzip_dbout=no",
    "num_workers=2",
    "report_url=stdout",
    "Measured = p+u+g+s+m+c+i+n+acl+xattrs+sha256",
    `${root} Measured`,
  ];
  writeFileSync(config, `${lines.join("\n")}\n`);
  const init = ["--init", "--config", config];
  run(aide, init);
  run("cp", [output, input]);
  return [
    { name: "aide --init", command: aide, args: init },
    { name: "aide --check", command: aide, args: ["--check", "--config", config] },
  ];
}

/** The files with a digest in the baseline, as this process sees them. */
function hashedPaths(state: string, root: string): readonly string[] {
  using db = opened(join(state, "fim.db"));
  return db.paths().map((path) => `${root}${path}`);
}

function opened(file: string): Disposable & { paths: () => readonly string[] } {
  const db = new Database(file, { readonly: true });
  const all = db.prepare<[], string>(
    "SELECT CAST(path AS TEXT) FROM baseline WHERE CAST(row AS TEXT) ->> '$.sha256' IS NOT NULL",
  );
  return { paths: () => all.pluck().all(), [Symbol.dispose]: () => void db.close() };
}

if (import.meta.main) benchBaseline(Number(process.argv[2] ?? 5));
