import test from "ava";
import { CollectorClient } from "../../../src/deliver/collector/client.ts";
import type { Memory } from "../../../src/deliver/collector/witness.ts";
import { Witness } from "../../../src/deliver/collector/witness.ts";

const never = new AbortController().signal;

function memory(text?: string): Memory {
  let kept = text;
  return { get: () => kept, set: (next) => (kept = next) };
}

test("a node that never joined asks for its join token before the collector is asked for anything", async (t) => {
  const settings = { url: "https://127.0.0.1:1", joinToken: "/nonexistent/join-token" };
  const witness = new Witness(memory());
  using client = new CollectorClient(settings, { witness, pin: memory() }, Date.now);
  t.deepEqual(await client.nonce("cp-1", never), {
    kind: "rejected",
    why: "not enrolled: join token /nonexistent/join-token: cannot be read (ENOENT)",
  });
  const joined = new Witness(memory(JSON.stringify({ vkey: "fim-collector/vm+8bbbd51d+AA" })));
  using later = new CollectorClient(settings, { witness: joined, pin: memory() }, Date.now);
  t.like(await later.nonce("cp-1", never), { kind: "retry" });
});
