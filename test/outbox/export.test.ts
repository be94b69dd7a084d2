import test from "ava";
import fc from "fast-check";
import { rotateKey } from "../../src/baseline/key.ts";
import { rawPublicKey } from "../../src/core/record/dsse.ts";
import { exportChain, verifyExport } from "../../src/outbox/export.ts";
import { Queue } from "../../src/outbox/queue.ts";
import { transact } from "../../src/sqlite/open.ts";
import { State, at } from "../helpers/state.ts";

function fill(state: State, batches: number): void {
  const outbox = state.outbox();
  for (let n = 0; n < batches; n += 1) {
    const entry = { kind: "alert", severity: "low", body: bodyOf } as const;
    transact(state.db, () => outbox.append([entry, entry, entry], at));
  }
}

function bodyOf(seq: number): unknown {
  return { path: "/etc/é\n", seq };
}

function linesOf(state: State, since = 0): string[] {
  let text = "";
  exportChain(state.db, {
    keys: [state.key.publicKey, ...state.key.past],
    write: (line) => {
      text += line;
    },
    since,
  });
  return text.trimEnd().split("\n");
}

test("an export verifies with nothing but itself, and says who signed", async (t) => {
  using state = new State();
  fill(state, 4);
  const lines = linesOf(state);
  t.is(lines.length, 1 + 5 + 13);
  t.deepEqual(JSON.parse(lines[0] ?? ""), {
    format: "fim-agent/export/1",
    chain: "prod/cp-1/1",
    publicKey: rawPublicKey(state.key.publicKey).toString("base64"),
  });
  const report = await verifyExport(lines);
  t.like(report, { ok: true, records: 13, first: 1, last: 13, signer: state.key.id });
  t.true((await verifyExport(lines, [state.key.publicKey])).ok);
});

test("an export by a key that is not trusted is refused", async (t) => {
  using state = new State();
  using other = new State();
  fill(state, 1);
  t.like(await verifyExport(linesOf(state), [other.key.publicKey]), {
    ok: false,
    fault: `the file is signed by ${state.key.id}, which is not trusted`,
  });
});

test("an export since a time begins with the first batch that was signed then", async (t) => {
  using state = new State();
  fill(state, 2);
  const entry = { kind: "alert", severity: "low", body: () => 1 } as const;
  const later = "2026-12-01T00:00:00.000Z";
  transact(state.db, () => state.outbox().append([entry], later));
  t.like(await verifyExport(linesOf(state, Date.parse(later))), { ok: true, records: 1 });
  t.deepEqual(linesOf(state, Date.parse(later) + 1), [""]);
});

test("the present key vouches for an export that begins before it was made", async (t) => {
  using state = new State();
  fill(state, 1);
  const { before, after } = rotateKey(state.dir, at);
  const body = (): unknown => ({ publicKey: rawPublicKey(after.publicKey).toString("base64") });
  transact(state.db, () =>
    state.outbox().append([{ kind: "rekey", severity: "medium", body }], at),
  );
  const entry = { kind: "alert", severity: "low", body: () => 1 } as const;
  transact(state.db, () => state.outbox(after).append([entry], at));
  const lines = linesOf(state);
  for (const key of [before.publicKey, after.publicKey])
    t.true((await verifyExport(lines, [key])).ok);
  using other = new State();
  t.false((await verifyExport(lines, [other.key.publicKey])).ok);
});

test("an export of a pruned chain says where it begins", async (t) => {
  using state = new State();
  fill(state, 4);
  new Queue(state.db).prune({ keepBytes: 600, note: () => undefined });
  const report = await verifyExport(linesOf(state));
  t.true(report.ok);
  if (report.ok) t.true(report.first > 1 && report.last === 13);
});

test("an export goes on through a change of keys", async (t) => {
  using state = new State();
  fill(state, 1);
  const { after } = rotateKey(state.dir, at);
  const body = (): unknown => ({ publicKey: rawPublicKey(after.publicKey).toString("base64") });
  transact(state.db, () =>
    state.outbox().append([{ kind: "rekey", severity: "medium", body }], at),
  );
  const entry = { kind: "alert", severity: "low", body: () => 1 } as const;
  transact(state.db, () => state.outbox(after).append([entry], at));
  t.like(await verifyExport(linesOf(state)), { ok: true, records: 6, signer: state.key.id });
  transact(state.db, () => state.outbox().append([entry], at));
  t.deepEqual(await verifyExport(linesOf(state)), {
    ok: false,
    seq: 7,
    fault: `the batch is signed by ${state.key.id}, which was replaced before`,
  });
});

test("a line that was changed, dropped, doubled or swapped is found", async (t) => {
  using state = new State();
  fill(state, 3);
  const lines = linesOf(state);
  const edits = fc.tuple(
    fc.constantFrom("change", "drop", "double", "swap"),
    fc.integer({ min: 1, max: lines.length - 1 }),
    fc.nat({ max: 5000 }),
  );
  await fc.assert(
    fc.asyncProperty(edits, async ([edit, index, where]) => {
      const edited = [...lines];
      const line = edited[index] ?? "";
      const place = where % line.length;
      const letter = line[place] === "k" ? "j" : "k";
      if (edit === "change") edited[index] = line.slice(0, place) + letter + line.slice(place + 1);
      else if (edit === "drop") edited.splice(index, 1);
      else if (edit === "double") edited.splice(index, 0, line);
      else edited.splice(index - 1, 2, line, edited[index - 1] ?? "");
      return !(await verifyExport(edited)).ok;
    }),
    { numRuns: 300 },
  );
  t.pass();
});

test("a file that ends too early, is empty or is something else is said to be", async (t) => {
  using state = new State();
  fill(state, 2);
  const lines = linesOf(state);
  t.like(await verifyExport(lines.slice(0, -1)), {
    ok: false,
    seq: 7,
    fault: "the file ends in the middle of a batch",
  });
  t.like(await verifyExport(lines.slice(0, 1)), { ok: false, fault: "the file holds no batch" });
  t.like(await verifyExport([]), { ok: false, fault: "the file is empty" });
  for (const text of [
    "{}",
    "no",
    "null",
    '{"format":"fim-agent/export/1","chain":"x","publicKey":"AA=="}',
  ])
    t.regex(((await verifyExport([text])) as { fault?: string }).fault ?? "", /not a head/);
});
