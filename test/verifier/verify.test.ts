import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { noteKey, printVkey } from "../../src/core/tlog/note.ts";
import { TestLog, Writer, evidenceFile, newKeys } from "../helpers/log.ts";
import type { Entry } from "../helpers/log.ts";
import { missingProgram } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";
import { makeNode } from "../helpers/node.ts";
import type { TestNode } from "../helpers/node.ts";
import { until } from "../helpers/wait.ts";

const verifier = join(import.meta.dirname, "verify.py");
const missing = missingProgram("python3", "openssl");

/** What a verifier says that was written from docs/formats.md alone. */
function verdict(...args: readonly string[]): string {
  const { stdout, stderr, status } = spawnSync("python3", [verifier, ...args], {
    encoding: "utf8",
  });
  return `${status} ${stdout.trim() || stderr.trim()}`;
}

/** A chain with alerts, an acceptance and a rotated key. */
async function makeHistory(): Promise<TestNode> {
  const node = makeNode({ rules: { "/srv/**": "high" } });
  for (let each = 0; each < 5; each += 1) node.write(`/srv/file-${each}`, `${each}`);
  await node.capture();
  node.write("/srv/b\u{fd}d\n", "x");
  await work(node, "/srv/first");
  await run(node, "accept", "--all", "--reason", "a test");
  await run(node, "key", "rotate");
  await work(node, "/srv/second");
  return node;
}

/** An agent runs, reports these files and stops. */
async function work(node: TestNode, ...paths: readonly string[]): Promise<void> {
  const config = { watch: { quickSweepEvery: "1s" }, outbox: { maxBytes: "1MiB" } };
  await using watching = await node.watch({ config });
  for (const path of paths) node.write(path, path);
  const last = paths.at(-1) ?? "";
  await until(() => JSON.stringify(node.records()).includes(last), 60_000);
  if (paths.length > 1) await until(() => isPruned(node), 60_000);
  await watching.stop();
}

const isPruned = (node: TestNode): boolean =>
  node.query("SELECT value FROM meta WHERE key = 'pruned'").length > 0;

async function run(node: TestNode, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await node.run(...args);
  if (code !== 0) throw new Error(`${args.join(" ")} ended with ${code}: ${stderr}`);
  return stdout;
}

needing(missing)(
  "another program verifies the state directory from docs/formats.md alone",
  async (t) => {
    using node = await makeHistory();
    t.regex(verdict("state", node.state), /^0 good default\/.*, 2 keys$/);
    await run(node, "key", "rotate");
    t.regex(verdict("state", node.state), /^0 good .*, 3 keys$/);
    // More than the outbox keeps.
    await work(node, ...Array.from({ length: 900 }, (_, each) => `/srv/many/file-${each}`));
    t.true(isPruned(node));
    t.regex(verdict("state", node.state), /^0 good /);
    t.is((await node.run("verify")).code, 0);
  },
);

needing(missing)(
  "another program verifies an export, by the key before a rotation and by the one after",
  async (t) => {
    using node = makeNode({ rules: { "/srv/**": "high" } });
    node.write("/srv/file", "");
    await node.capture();
    const first = node.beside("first.key");
    const second = node.beside("second.key");
    writeFileSync(first, await run(node, "key", "show"));
    await run(node, "key", "rotate");
    writeFileSync(second, await run(node, "key", "show"));
    await work(node, "/srv/later");
    const file = node.beside("export.ndjson");
    writeFileSync(file, await run(node, "export"));
    for (const args of [[], [first], [second]])
      t.regex(verdict("export", file, ...args), /^0 good /);
    await run(node, "key", "rotate");
    const third = node.beside("third.key");
    writeFileSync(third, await run(node, "key", "show"));
    t.is(verdict("export", file, third), "1 fault export: the trusted key signed nothing");

    const text = readFileSync(file, "utf8");
    for (const [what, forged, fault] of [
      [
        "an altered record",
        text.replace('"file-0"', '"file-9"').replace("captured", "replaced"),
        /./,
      ],
      ["a removed line", text.split("\n").toSpliced(2, 1).join("\n"), /./],
      ["two exchanged lines", exchanged(text), /./],
    ] as const) {
      writeFileSync(file, forged);
      t.regex(verdict("export", file, second), new RegExp(`^1 fault ${fault.source}`), what);
    }
  },
);

function exchanged(text: string): string {
  const lines = text.split("\n");
  const [a = "", b = ""] = lines.slice(-3);
  return [...lines.slice(0, -3), b, a, ""].join("\n");
}

const edits: readonly (readonly [what: string, edit: string, fault: RegExp])[] = [
  [
    "a row",
    "UPDATE baseline SET row = CAST(replace(CAST(row AS TEXT), '\"uid\":0', '\"uid\":1') AS BLOB)",
    /rows|row/,
  ],
  ["a missing row", "DELETE FROM baseline WHERE path = CAST('/srv/file-0' AS BLOB)", /rows/],
  ["the policy", "UPDATE statement SET policy = replace(policy, 'high', 'info')", /policy/],
  ["the counter", "UPDATE statement SET counter = counter + 1", /counter/],
  [
    "a record",
    "UPDATE record SET bytes = CAST(replace(CAST(bytes AS TEXT), 'a test', 'a tent') AS BLOB)",
    /record|batch/,
  ],
  [
    "a record beside its bytes",
    "UPDATE record SET kind = 'agent' WHERE seq = 2",
    /record 2: its kind/,
  ],
  ["the first records", "DELETE FROM record WHERE seq = 1", /batch 1/],
  [
    "a whole batch at the beginning",
    "DELETE FROM record WHERE seq <= (SELECT min(last) FROM batch); DELETE FROM batch WHERE last = (SELECT min(last) FROM batch)",
    /record 1|pruned/,
  ],
  [
    "the last batch",
    "DELETE FROM record WHERE seq >= (SELECT max(first) FROM batch); DELETE FROM batch WHERE last = (SELECT max(last) FROM batch)",
    /head/,
  ],
  [
    "a trigger",
    "CREATE TRIGGER deaf BEFORE INSERT ON record BEGIN SELECT raise(ignore); END",
    /trigger deaf/,
  ],
  ["the chain's name", "UPDATE meta SET value = 'prod/other/00' WHERE key = 'chain'", /chain/],
];

needing(missing)("another program finds what was altered in the state directory", async (t) => {
  using node = await makeHistory();
  const copy = node.beside("copy");
  const fresh = (): void => {
    rmSync(copy, { recursive: true, force: true });
    cpSync(node.state, copy, { recursive: true });
  };
  for (const [what, edit, fault] of edits) {
    fresh();
    const db = new Database(join(copy, "fim.db"));
    db.exec(edit);
    db.close();
    t.regex(verdict("state", copy), /^1 fault /, what);
    t.regex(verdict("state", copy), fault, what);
  }
  for (const name of ["anchor.json", "keys.json"]) {
    fresh();
    const file = join(copy, name);
    const text = readFileSync(file, "utf8");
    const at = text.indexOf('"sig":"') + 10;
    writeFileSync(file, text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1));
    t.regex(verdict("state", copy), /^1 fault .*signature/, name);
  }
});

const alert = (path: string): Entry => ({ kind: "alert", body: { path } });

needing(missing)(
  "another program verifies an evidence file, of all nodes and of one, and no altered one",
  async (t) => {
    const { privateKey, publicKey } = newKeys();
    const [one, two] = [new Writer("prod/cp-1/a"), new Writer("prod/cp-2/b")];
    const { enrolment: _, ...own } = new Writer("fim-collector/soc/1").batch({
      kind: "collector",
      body: {},
    });
    const log = new TestLog()
      .add(one.batch({ kind: "genesis", body: {} }, alert("/etc/\u00e9")))
      .add(two.batch(alert("/etc/a"), alert("/etc/b"), alert("/etc/c")))
      .add(one.rekey(newKeys()))
      .add(one.batch(alert("/etc/d")))
      .add(own);
    one.batch(alert("/etc/lost"));
    log.add(one.batch({ kind: "agent", body: { event: "pruned", through: 5 } }));
    using dir = temporary();
    const file = join(dir.path, "evidence");
    const key = join(dir.path, "key");
    writeFileSync(key, printVkey(noteKey("fim-collector/soc", publicKey)));
    const whole = await evidenceFile(log.evidence(), privateKey);
    writeFileSync(file, whole);
    t.is(verdict("evidence", file, key), "0 good fim-collector/soc: 9 of 9 records, 3 chains");
    const isOfTwo = ({ chain }: { readonly chain: string }): boolean => chain === two.chain;
    writeFileSync(
      file,
      await evidenceFile(log.evidence(isOfTwo), privateKey, { node: "prod/cp-2" }),
    );
    t.is(verdict("evidence", file, key), "0 good fim-collector/soc: 3 of 9 records, 1 chains");
    for (let n = 0; n < 8; n += 1) {
      const forged = Buffer.from(whole);
      const place = Math.floor((forged.length * n) / 8) + 3;
      forged[place] = forged[place] === 0x41 ? 0x42 : 0x41;
      writeFileSync(file, forged);
      t.regex(verdict("evidence", file, key), /^1 fault /, `byte ${place}`);
    }
    writeFileSync(file, whole);
    writeFileSync(key, printVkey(noteKey("fim-collector/soc", newKeys().publicKey)));
    t.is(verdict("evidence", file, key), "1 fault line 1: by another collector");
  },
);

function temporary(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "fim-verifier-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}
