import test from "ava";
import pino from "pino";
import { truncateSync } from "node:fs";
import { maintenance } from "../../src/agent/maintenance.ts";
import { compileRules } from "../../src/core/policy/rules.ts";
import { Drift } from "../../src/reconcile/approved/drift.ts";
import { Committer } from "../../src/reconcile/commit.ts";
import { createMetrics } from "../../src/health/metrics.ts";
import type { AgentContext } from "../../src/reconcile/context.ts";
import { createState } from "../../src/node/state.ts";
import { HealthStatus } from "../../src/health/status.ts";
import { parseRecord } from "../../src/core/record/chain.ts";
import { openStateDatabase } from "../../src/node/database.ts";
import { eventContext } from "../helpers/judged.ts";
import { at, rowFor, seenFile } from "../helpers/state.ts";
import { verifyChain } from "../../src/outbox/verify.ts";
import { transact } from "../../src/sqlite/open.ts";
import { makePlace } from "../helpers/tree.ts";

/** A state directory, and the house-keeping over it. */
function makeHouse() {
  const place = makePlace();
  const state = createState({ state: place.at("state"), node: "cp-1", cluster: "prod" });
  state.db.pragma("busy_timeout = 1");
  const { uid: _, sequence: __, now: ___, ...context } = eventContext();
  const committer = new Committer({ state, context, maxBytes: 1 << 20, now: Date.now });
  const health = new HealthStatus(committer.announce.bind(committer), pino({ level: "silent" }));
  const metrics = createMetrics({ clock: Date.now, outbox: () => state.queue.backlog() });
  const settings = { outbox: { maxBytes: 1 << 20 } };
  const node = { index: compileRules([]) };
  const agent = { node, state, settings, committer, metrics, health } as unknown as AgentContext;
  return {
    state,
    committer,
    health,
    keep: maintenance(agent, { drift: new Drift(state, node.index), onAlert: () => undefined }),
    /** What the chain holds of the agent itself: "degraded state". */
    reported: () =>
      state.db
        .prepare<[], Buffer>("SELECT bytes FROM record WHERE kind = 'agent' ORDER BY seq")
        .pluck()
        .all()
        .map((bytes) => parseRecord(bytes)?.body as { event: string; trouble: string })
        .map(({ event, trouble }) => `${event} ${trouble}`),
    [Symbol.dispose]: () => {
      state[Symbol.dispose]();
      place[Symbol.dispose]();
    },
  };
}

test("house-keeping that succeeds does not end a trouble that a change's commit raised", (t) => {
  using house = makeHouse();
  house.health.trouble("state", "the disk is full");
  house.keep();
  t.deepEqual(house.health.sick(), ["the disk is full"]);
  t.deepEqual(house.reported(), ["degraded state"]);
});

const approved = (count: number) =>
  Array.from({ length: count }, (_, ino) => ({
    path: `/etc/file-${ino}`,
    rule: "test/own",
    writer: { pid: 7 },
    at: 0,
    row: rowFor(ino),
  }));

test("what was approved is stated again when its record is pruned, the newest first", (t) => {
  using house = makeHouse();
  const { state, committer } = house;
  const event = { kind: "agent", severity: "info", body: () => "x".repeat(100_000) } as const;
  const fill = () =>
    transact(state.db, () => {
      for (let one = 0; one < 20; one += 1) state.outbox.append([event], at);
    });
  const look = { path: "/etc/file-0", after: seenFile(0) };
  committer.commit([look], [], approved(3));
  fill();
  house.keep();
  t.true(state.outbox.head().seq > 20);
  t.throws(() => state.outbox.bytesOf(2), { code: "CHAIN_BROKEN" });
  t.deepEqual(
    state.approvals.all().map(({ path }) => path),
    ["/etc/file-0", "/etc/file-1", "/etc/file-2"],
  );
  // More than may be kept: the newest stay, so that pruning ends.
  committer.commit([{ ...look, after: seenFile(9) }], [], approved(2000));
  fill();
  house.keep();
  const kept = state.approvals.all().length;
  t.true(kept > 100 && kept < 2000, String(kept));
  const { ok } = verifyChain(state.db, [state.key.publicKey]);
  t.true(ok);
});

test("house-keeping that fails is a trouble of its own, until it succeeds", (t) => {
  using house = makeHouse();
  const other = openStateDatabase(house.state.db.name);
  other.exec("ALTER TABLE fold RENAME TO gone");
  house.keep();
  t.regex(house.health.degraded().join("\n"), /^house-keeping: .*no such table/m);
  other.exec("ALTER TABLE gone RENAME TO fold");
  house.keep();
  t.notRegex(house.health.degraded().join("\n"), /house-keeping/);
  other.close();
});

test("what the agent could not say of itself is said, in order, once it can be stored", (t) => {
  using house = makeHouse();
  const other = openStateDatabase(house.state.db.name);
  other.exec("BEGIN IMMEDIATE");
  house.health.incident("engine", "the queue overflowed");
  house.health.trouble("unreadable", "one path cannot be read");
  house.keep();
  t.deepEqual(house.health.sick(), [], "a restart would not unlock it");
  t.deepEqual(house.reported(), []);
  other.exec("ROLLBACK");
  other.close();
  house.keep();
  t.deepEqual(house.health.sick(), []);
  t.deepEqual(house.reported(), ["degraded engine", "degraded unreadable"]);
});

test("a database file that was cut is a trouble, whatever its size before", (t) => {
  using house = makeHouse();
  house.keep();
  t.deepEqual(house.health.degraded(), []);
  truncateSync(house.state.db.name, 0);
  house.keep();
  t.regex(house.health.sick().join("\n"), /was cut to 0 bytes/);
});

test("a database that shrinks because records were given up is no trouble", (t) => {
  using house = makeHouse();
  const { db } = house.state;
  const fill = db.prepare("INSERT INTO meta (key, value) VALUES (?, ?)");
  for (let each = 0; each < 300; each += 1) fill.run(`key-${each}`, "x".repeat(20_000));
  db.pragma("wal_checkpoint(TRUNCATE)");
  house.keep();
  db.exec("DELETE FROM meta WHERE key LIKE 'key-%'");
  db.pragma("incremental_vacuum(2000)");
  for (const mode of ["PASSIVE", "TRUNCATE"]) {
    db.pragma(`wal_checkpoint(${mode})`);
    house.keep();
    t.deepEqual(house.health.degraded(), [], mode);
  }
});
