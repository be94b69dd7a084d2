import test from "ava";
import type { Database } from "better-sqlite3";
import { approvalEntries, Approvals } from "../../src/outbox/approvals.ts";
import type { Outbox } from "../../src/outbox/outbox.ts";
import { transact } from "../../src/sqlite/open.ts";
import { at, rowFor, State } from "../helpers/state.ts";

const approved = (path: string, ino?: number) => ({
  path,
  rule: "test/own",
  writer: { pid: 7, exe: "/usr/bin/dpkg" },
  at: Date.parse(at),
  ...(ino !== undefined && { row: rowFor(ino) }),
});

const append = (db: Database, outbox: Outbox, entries: ReturnType<typeof approvalEntries>) =>
  transact(db, () => outbox.append(entries, at));

test("the last approval of a path holds, until a baseline follows", (t) => {
  using state = new State();
  const outbox = state.outbox();
  const approvals = new Approvals(state.db);
  t.is(approvals.get("/a"), undefined);
  append(state.db, outbox, approvalEntries([approved("/a", 1), approved("/b", 2)]));
  append(state.db, outbox, approvalEntries([approved("/a", 3), approved("/c")]));
  t.like(approvals.all(), [approved("/a", 3), approved("/b", 2), approved("/c")]);
  t.is(approvals.get("/c")?.row, undefined);
  append(state.db, outbox, [{ kind: "baseline", severity: "info", body: () => ({}) }]);
  t.deepEqual(approvals.all(), []);
  append(state.db, outbox, approvalEntries([approved("/d", 4)]));
  t.deepEqual([approvals.get("/a"), approvals.get("/d")?.row], [undefined, rowFor(4)]);
  t.deepEqual(new Approvals(state.db).all(), approvals.all());
});

test("no record grows with the number of approvals", (t) => {
  const many = Array.from({ length: 120 }, (_, ino) => approved(`/${ino}`, ino));
  const sizes = approvalEntries(many).map(({ body }) => JSON.stringify(body(1)).length);
  t.is(sizes.length, 3);
  t.true(Math.max(...sizes) < 32_768, sizes.join());
});
