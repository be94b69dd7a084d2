import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";
import { createPublicKey } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import type { ExecutionContext } from "ava";
import { verifyEvidence } from "../../../src/collector/evidence/verify.ts";
import { alterRecords, renamedIn } from "../../helpers/altered.ts";
import { newKey, Reporter, send, startCollector } from "../../helpers/collector.ts";

const execute = promisify(execFile);
const program = join(import.meta.dirname, "../../../src/cli/collector.ts");

interface Kept extends Disposable {
  readonly state: string;
  run(...args: readonly string[]): {
    readonly code: number | null;
    readonly out: string;
    readonly err: string;
  };
  file(name: string, content: string): string;
}

/** The state directory of a stopped collector, with three records of one node and two of another. */
async function keep(t: ExecutionContext): Promise<Kept> {
  const state = mkdtempSync(join(tmpdir(), "fim-evidence-"));
  {
    await using serving = await startCollector({ state });
    for (const [node, count] of [
      ["cp-1", 3],
      ["cp-2", 2],
    ] as const) {
      const reporter = new Reporter(node);
      t.is((await reporter.enrol(serving)).status, 200);
      t.is((await send(serving, reporter.batch(count))).status, 200);
    }
  }
  return {
    state,
    run: (...args) => {
      const options = { encoding: "utf8" } as const;
      const all = [program, ...args, "--state", state, "--name", "test"];
      const { status, stdout, stderr } = spawnSync(process.execPath, all, options);
      return { code: status, out: stdout, err: stderr };
    },
    file: (name, content) => {
      const path = join(state, name);
      writeFileSync(path, content);
      return path;
    },
    [Symbol.dispose]: () => rmSync(state, { recursive: true }),
  };
}

test("what export writes, verify finds good, with the collector's key and without", async (t) => {
  using kept = await keep(t);
  const exported = kept.run("export");
  t.is(exported.code, 0, exported.err);
  const file = kept.file("evidence", exported.out);
  const shown = kept.run("key", "show");
  t.regex(shown.out, /^fim-collector\/test\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+\n$/);
  const known = kept.run("verify", file, "--key", kept.file("key", shown.out));
  t.is(known.code, 0, known.err);
  t.regex(
    known.out,
    /^evidence: good, 5 records in 2 chains\nsigned: .* by fim-collector\/test\+.*\nlog: 5 records, root [0-9a-f]{64}\n$/,
  );
  t.regex(kept.run("verify", file).out, /\nthe key was not compared with any: /);
});

test("the evidence of one node says that other records are not in it", async (t) => {
  using kept = await keep(t);
  const file = kept.file("evidence", kept.run("export", "--node", "cp-2").out);
  const { code, out } = kept.run("verify", file, "--format", "json");
  t.is(code, 0);
  t.like(JSON.parse(out), { ok: true, node: "prod/cp-2", records: 2, withheld: 3 });
  const since = kept.run("export", "--node", "prod/cp-1", "--since", "2099-01-01T00:00:00Z");
  t.like(JSON.parse(kept.run("verify", kept.file("none", since.out), "--format", "json").out), {
    ok: true,
    records: 0,
    since: "2099-01-01T00:00:00.000Z",
  });
  const unknown = kept.run("export", "--node", "cp-9");
  t.is(unknown.code, 2);
  t.regex(
    unknown.err,
    /^fim-collector: --node cp-9: no node of this name joined\nhint: these did: prod\/cp-1, prod\/cp-2\n$/,
  );
  const noKey = kept.run("verify", join(kept.state, "missing"), "--key", join(kept.state, "k"));
  t.regex(noKey.err, /^fim-collector: key .*\/k: no such file\n/);
});

// Before the others, which block this process while they wait for a command.
test.serial(
  "an export while records arrive is whole, up to the moment when it began",
  async (t) => {
    const state = mkdtempSync(join(tmpdir(), "fim-evidence-"));
    {
      await using serving = await startCollector({ state });
      const reporter = new Reporter("cp-1");
      await reporter.enrol(serving);
      for (let n = 0; n < 20; n += 1) await send(serving, reporter.batch(10));
      const args = [program, "export", "--state", state, "--name", "test"];
      const exporting = execute(process.execPath, args, { maxBuffer: 64 * 1024 * 1024 });
      const { signal, isDone } = ended(exporting);
      while (!isDone()) await send(serving, reporter.batch(10));
      const { stdout } = await signal;
      const report = await verifyEvidence([Buffer.from(stdout)]);
      t.true(report.ok && report.records >= 200 && report.withheld === 0, JSON.stringify(report));
    }
    rmSync(state, { recursive: true });
  },
);

/** A promise, and whether it has ended. */
function ended<Value>(signal: Promise<Value>) {
  let done = false;
  const mark = (): void => {
    done = true;
  };
  signal.then(mark, mark);
  return { signal, isDone: () => done };
}

test("an altered file is refused with its first bad record, and exit code 1", async (t) => {
  using kept = await keep(t);
  const { out } = kept.run("export");
  const altered = kept.file("altered", out.replace("admin.conf", "other.conf"));
  const { code, out: said } = kept.run("verify", altered);
  t.is(code, 1);
  t.regex(
    said,
    /^evidence: broken at line 5: chain prod\/cp-1\/[0-9a-f]+, record 1: this record or the next was altered\n$/,
  );
  const stranger = createPublicKey(newKey()).export({ type: "spki", format: "pem" }).toString();
  const refused = kept.run(
    "verify",
    kept.file("good", out),
    "--key",
    kept.file("key.pem", stranger),
  );
  t.is(refused.code, 1);
  t.regex(
    refused.out,
    /^evidence: broken at line 1: the file is by the key .*, which is not trusted\n$/,
  );
});

test("a record that was altered in the store is found in its export", async (t) => {
  using kept = await keep(t);
  const { default: Database } = await import("better-sqlite3");
  const db = new Database(join(kept.state, "collector.db"));
  alterRecords(db, renamedIn(3));
  db.close();
  const { code, out } = kept.run("verify", kept.file("evidence", kept.run("export").out));
  t.is(code, 1);
  t.regex(out, /record 3: the last record was altered/);
});

test("wrong usage is said to be wrong: no key yet, no file, a file that is none", async (t) => {
  using kept = await keep(t);
  const empty = mkdtempSync(join(tmpdir(), "fim-empty-"));
  const none = spawnSync(process.execPath, [program, "export", "--state", empty], {
    encoding: "utf8",
  });
  t.is(none.status, 3);
  t.regex(none.stderr, /^fim-collector: key: there is none in .*\nhint: check --state/);
  rmSync(empty, { recursive: true });
  const missing = kept.run("verify", join(kept.state, "nothing"));
  t.is(missing.code, 2);
  t.regex(missing.err, /^fim-collector: evidence .*: no such file\nhint: name a file /);
  t.is(kept.run("verify", kept.file("other", "hello\n")).code, 1);
});
