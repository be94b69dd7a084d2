import test from "ava";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { keyFile, loadKey, rotateKey } from "../../src/baseline/key.ts";
import type { AgentKey } from "../../src/baseline/key.ts";
import { PresentKey } from "../../src/baseline/present.ts";
import { keyIdOf } from "../../src/core/record/dsse.ts";
import { State, approval, at } from "../helpers/state.ts";

/** The key as a process has it that has been running since before what comes. */
function keyOf({ dir }: State): AgentKey {
  const key = loadKey(dir);
  if (!key) throw new Error("no key");
  return new PresentKey(dir, key);
}

test("a key that another process rotated is the present one at its next use, and the former ones are known", (t) => {
  using state = new State();
  const key = keyOf(state);
  const ids = [key.id];
  for (let n = 0; n < 3; n += 1) {
    const { after } = rotateKey(state.dir, at);
    ids.unshift(after.id);
    t.is(keyIdOf(key.publicKey), after.id);
  }
  t.deepEqual([key.id, ...key.past.map(keyIdOf)], ids);
});

test("a key that was rotated between its reading and its first use is not missed", (t) => {
  using state = new State();
  const loaded = state.key;
  const { after } = rotateKey(state.dir, at);
  t.is(new PresentKey(state.dir, loaded).id, after.id);
});

test("a key file that is gone, altered or planted leaves the key in force", (t) => {
  using state = new State();
  using other = new State();
  const file = keyFile(state.dir);
  const key = keyOf(state);
  const { id } = key;
  rmSync(file);
  t.is(key.id, id);
  writeFileSync(file, "no key", { mode: 0o600 });
  t.is(key.id, id);
  rmSync(file);
  writeFileSync(file, readFileSync(keyFile(other.dir)), { mode: 0o600 });
  t.is(key.id, id);
});

test("what a rotated key signed is trusted by those who began with the former one", (t) => {
  using state = new State();
  using other = new State(state.dir);
  state.captured();
  const baseline = state.baseline(keyOf(state));
  t.is(baseline.trust().key, state.key.id);
  const { after } = rotateKey(state.dir, at);
  t.is(baseline.trust().key, state.key.id, "not signed again yet");
  other.baseline(after).accept([], approval());
  t.is(baseline.trust().key, after.id);
  t.is(baseline.accept([], approval()).key, after.id);
});
