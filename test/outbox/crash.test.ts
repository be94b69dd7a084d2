import test from "ava";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { createInterface } from "node:readline";
import { verifyChain } from "../../src/outbox/verify.ts";
import { Current } from "../../src/baseline/current.ts";
import { State } from "../helpers/state.ts";

const writer = fileURLToPath(import.meta.resolve("./crash-writer.ts"));

/** Runs the writer until it has printed this many lines, kills it, and returns the last numbers that it confirmed. */
async function workThenKill(dir: string, lines: number): Promise<Map<string, number>> {
  const child = spawn(process.execPath, [writer, dir], { stdio: ["ignore", "pipe", "pipe"] });
  const exited = once(child, "exit");
  const confirmed = new Map<string, number>();
  let said = 0;
  for await (const line of createInterface(child.stdout)) {
    const [what = "", number] = line.split(" ");
    confirmed.set(what, Number(number));
    said += 1;
    if (said === lines) child.kill("SIGKILL");
  }
  const [, signal] = (await exited) as [number | null, string | null];
  if (signal !== "SIGKILL")
    throw new Error(`the writer ended by itself: ${String(child.stderr.read())}`);
  return confirmed;
}

test("a process that is killed at any moment loses nothing that was committed and leaves nothing half-done", async (t) => {
  using state = new State();
  let counter = 0;
  for (let round = 0; round < 20; round += 1) {
    const confirmed = await workThenKill(state.dir, 1 + ((round * 13) % 47));
    using found = new State(state.dir);
    const report = verifyChain(found.db, [found.key.publicKey]);
    t.true(report.ok, JSON.stringify(report));
    if (!report.ok) return;
    t.true(report.last >= (confirmed.get("record") ?? 0));
    const count = found.db.prepare("SELECT count(*) FROM record WHERE kind = ?").pluck();
    t.is(count.get("alert"), new Current(found.db).count());
    counter = Math.max(counter, confirmed.get("baseline") ?? 0);
    const baseline = found.baseline();
    if (!baseline.exists()) {
      t.is(counter, 0);
      continue;
    }
    const statement = baseline.trust();
    t.true(statement.counter >= counter);
    t.is(count.get("baseline"), statement.counter);
    counter = statement.counter;
  }
  t.true(counter > 5, `${counter}`);
});
