import { createPublicKey } from "node:crypto";
import { gzipSync } from "node:zlib";
import { request } from "node:http";
import { parseBody } from "../../src/collector/ingest/body.ts";
import { receive } from "../../src/collector/ingest/receive.ts";
import type { Verifier } from "../../src/collector/ingest/verifier.ts";
import { keyIdOf, rawPublicKey } from "../../src/core/record/dsse.ts";
import { setImmediate } from "node:timers/promises";
import test from "ava";
import { Reporter, alert, newKey, nonceOf, send, startCollector } from "../helpers/collector.ts";
import type { Serving } from "../helpers/collector.ts";
import { onEachStore } from "../helpers/stores.ts";
import { until } from "../helpers/wait.ts";

async function enrolled(serving: Serving, node = "cp-1"): Promise<Reporter> {
  const reporter = new Reporter(node);
  const { status, body } = await reporter.enrol(serving);
  if (status !== 200) throw new Error(`not enrolled: ${body}`);
  return reporter;
}

onEachStore("a batch is stored, and its alert is found as it was signed", async (t, start) => {
  await using serving = await start();
  const reporter = await enrolled(serving);
  const { status, body } = await send(serving, reporter.batch(2));
  t.is(status, 200);
  t.is(body["ack"], 2);
  t.is(body["head"], reporter.head.hash);
  const { body: list } = await serving.read("/v1/alerts");
  const items = list["items"] as readonly Record<string, Record<string, unknown>>[];
  t.is(items.length, 2);
  t.is(items[0]?.["unmapped"]?.["fim"] === undefined, false);
  t.like(items[0]?.["collector"], {
    type: "fim.alert.modified",
    node: "cp-1",
    acknowledged: false,
  });
  const uid = String(items[1]?.["metadata"]?.["uid"]);
  const { body: one } = await serving.read(`/v1/alerts/${uid}`);
  t.deepEqual((one["metadata"] as { uid: string }).uid, uid);
});

onEachStore("a batch that comes again is confirmed and stored once", async (t, start) => {
  await using serving = await start();
  const reporter = await enrolled(serving);
  const lines = reporter.batch(3);
  await send(serving, lines);
  const { status, body } = await send(serving, lines);
  t.is(status, 200);
  t.is(body["ack"], 3);
  t.is((await serving.types()).length, 3);
});

onEachStore(
  "a missing batch is asked for; when it comes, all is stored in order",
  async (t, start) => {
    await using serving = await start();
    const reporter = await enrolled(serving);
    const [first, second, third] = [reporter.batch(), reporter.batch(), reporter.batch()];
    await send(serving, first);
    const gap = await send(serving, third);
    t.is(gap.status, 409);
    t.like(gap.body, { error: "gap", expected: 2, ack: null });
    t.is((await send(serving, second)).status, 200);
    t.is((await send(serving, third)).body["ack"], 3);
    t.deepEqual(await serving.types(), [
      "fim.alert.modified",
      "fim.collector.gap",
      "fim.alert.modified",
      "fim.alert.modified",
    ]);
  },
);

onEachStore(
  "an agent that has lost records says so: the rest is stored, with an alarm",
  async (t, start) => {
    await using serving = await start();
    const reporter = await enrolled(serving);
    await send(serving, reporter.batch());
    reporter.batch(5);
    const { status, body } = await send(serving, reporter.batch(), { "fim-lost-from": "2" });
    t.is(status, 200);
    t.is(body["ack"], 7);
    t.true((await serving.types()).includes("fim.collector.gap"));
  },
);

onEachStore("a clone's records are a fork: refused, kept apart, one alarm", async (t, start) => {
  await using serving = await start();
  const reporter = await enrolled(serving);
  await send(serving, reporter.batch());
  const clone = reporter.clone();
  await send(serving, reporter.batch(2));
  const forked = await send(serving, clone.batch());
  t.is(forked.status, 409);
  t.like(forked.body, { error: "fork", seq: 2, quarantined: 2 });
  const next = await send(serving, clone.batch(3));
  t.like(next.body, { error: "fork", quarantined: 5 });
  t.is((await send(serving, reporter.batch())).status, 200);
  const types = await serving.types();
  t.is(types.filter((type) => type === "fim.collector.fork").length, 1);
  t.is(types.filter((type) => type === "fim.alert.modified").length, 8);
});

onEachStore("no node enrols under the name of a collector's own chains", async (t, start) => {
  await using serving = await start();
  const { status, body } = await new Reporter("test", { cluster: "fim-collector" }).enrol(serving);
  t.is(status, 401);
  t.regex(body, /expected the names of a node and its cluster/);
});

onEachStore("no signature but that of the node's own key is accepted", async (t, start) => {
  await using serving = await start();
  const reporter = await enrolled(serving);
  const other = await enrolled(serving, "cp-2");
  const stolen = reporter.clone().batch(1, other.key);
  const altered = reporter.clone().batch().replace("admin.conf", "other.conf");
  const foreign = new Reporter("cp-1").batch();
  const stranger = new Reporter("cp-9").batch();
  for (const lines of [stolen, altered, foreign, stranger]) {
    const { status } = await send(serving, lines);
    t.is(status, 401);
  }
  const types = await serving.types();
  t.deepEqual(types, ["fim.collector.rejected", "fim.collector.rejected"], "one for each name");
  t.is((await send(serving, reporter.batch())).status, 200);
});

onEachStore("a key that was replaced signs nothing new", async (t, start) => {
  await using serving = await start();
  const reporter = await enrolled(serving);
  const before = reporter.batch();
  await send(serving, before);
  const [old, next] = [reporter.key, newKey()];
  const publicKey = rawPublicKey(createPublicKey(next)).toString("base64");
  const rekey = reporter.batchOf([{ kind: "rekey", body: { publicKey } }]);
  t.is((await send(serving, rekey)).status, 200);
  t.is((await send(serving, reporter.clone().batch(1, old))).status, 401);
  t.is((await send(serving, before)).status, 200, "what it signed before comes again");
  reporter.key = next;
  t.is((await send(serving, reporter.batch())).status, 200);
  t.false((await serving.types()).includes("fim.collector.rekeyed"));
});

onEachStore(
  "the parts of one request follow each other as requests of their own do",
  async (t, start) => {
    await using serving = await start();
    const reporter = await enrolled(serving);
    const nonce = await nonceOf(serving);
    const fork = reporter.clone();
    const next = newKey();
    const publicKey = rawPublicKey(createPublicKey(next)).toString("base64");
    const baseline = { uid: "b", event: "baseline", counter: 2, digest: "cc" };
    const rekey = reporter.batchOf([{ kind: "rekey", body: { publicKey } }]);
    reporter.key = next;
    const recorded = reporter.batchOf([{ kind: "baseline", body: baseline }]);
    const setBack = { baseline: { counter: 1, digest: "bb", rows: 1 } };
    const beat = reporter.heartbeat(nonce, setBack);
    const last = reporter.batch();
    const lines = [rekey, recorded, beat, fork.batch(), last];
    const answer = await send(serving, lines.join(""));
    t.is(answer.status, 401, "what the replaced key signs after it was replaced");
    const types = await serving.types();
    t.deepEqual(
      types.filter((type) => type.startsWith("fim.collector.")),
      ["fim.collector.rollback", "fim.collector.rejected"],
    );
    const [node] = await serving.collector.store.nodes();
    t.is(node?.keyId, keyIdOf(createPublicKey(next)));
    t.is(node?.chain, reporter.chain);
    t.is((JSON.parse(node?.baseline ?? "{}") as { counter: number }).counter, 2);
    t.true(node?.heartbeat?.includes(nonce));
    t.is((await send(serving, last)).status, 200);
  },
);

onEachStore(
  "an agent that changed its key before it enrolled sends its chain from the beginning",
  async (t, start) => {
    await using serving = await start();
    const reporter = new Reporter("cp-1");
    const first = reporter.batch();
    const [old, next] = [reporter.key, newKey()];
    const publicKey = rawPublicKey(createPublicKey(next)).toString("base64");
    const rekey = reporter.batchOf([{ kind: "rekey", body: { publicKey } }]);
    reporter.key = next;
    reporter.past = [createPublicKey(old)];
    const last = reporter.batch();
    t.is((await reporter.enrol(serving)).status, 200);
    const beat = reporter.heartbeat(await nonceOf(serving));
    for (const lines of [first, beat, rekey, last]) t.is((await send(serving, lines)).status, 200);
    const fresh = new Reporter("cp-1", { key: old });
    t.is((await send(serving, fresh.batch())).status, 401, "a chain of its own");
  },
);

onEachStore("a chain that begins again under the same key is a rollback", async (t, start) => {
  await using serving = await start();
  const reporter = await enrolled(serving);
  await send(serving, reporter.batch(3));
  const fresh = new Reporter("cp-1", { key: reporter.key });
  t.is((await send(serving, fresh.batch())).status, 200);
  t.true((await serving.types()).includes("fim.collector.rollback"));
});

onEachStore(
  "a node enrols with a token for it, once, and not with that of another",
  async (t, start) => {
    await using serving = await start();
    const token = await serving.joinToken("cp-1");
    t.is((await new Reporter("cp-2").enrol(serving, token)).status, 401);
    const reporter = new Reporter("cp-1");
    t.is((await reporter.enrol(serving, token)).status, 200);
    t.is((await reporter.enrol(serving, token)).status, 200, "the answer was lost: same key");
    t.is((await new Reporter("cp-1").enrol(serving, token)).status, 401, "used");
    const late = await serving.joinToken("cp-3", 1000);
    serving.skew = 2000;
    t.is((await new Reporter("cp-3").enrol(serving, late)).status, 401, "expired");
  },
);

onEachStore(
  "a new key for a known node raises an alarm, and the old one is worth nothing",
  async (t, start) => {
    await using serving = await start();
    const reporter = await enrolled(serving);
    await send(serving, reporter.batch());
    const again = await enrolled(serving);
    t.deepEqual((await serving.types()).at(-1), "fim.collector.rekeyed");
    t.is((await send(serving, again.batch())).status, 200);
    t.is((await send(serving, reporter.batch())).status, 401);
  },
);

onEachStore(
  "heartbeats make a node well; a replayed one does not keep it alive",
  async (t, start) => {
    await using serving = await start();
    const reporter = await enrolled(serving);
    const beat = reporter.heartbeat(await nonceOf(serving));
    t.is((await send(serving, beat)).status, 200);
    const [before] = await nodesOf(serving);
    t.like(before, { node: "cp-1", state: "well", engine: "fanotify", attribution: "full" });
    serving.skew = 200_000;
    t.is((await send(serving, beat)).status, 200);
    t.is((await nodesOf(serving))[0]?.["state"], "silent");
  },
);

onEachStore("a heartbeat shows a chain or a baseline that was set back", async (t, start) => {
  await using serving = await start();
  const reporter = await enrolled(serving);
  const old = reporter.clone();
  const recorded = { uid: "b", event: "baseline", counter: 2, digest: "cc" };
  await send(serving, reporter.batchOf([{ kind: "baseline", body: recorded }, alert("cp-1")]));
  const good = { counter: 2, digest: "cc", rows: 3 };
  const cases = [
    [reporter, good, false],
    [old, good, true],
    [reporter, { ...good, counter: 1 }, true],
    [reporter, { ...good, digest: "dd" }, true],
    [reporter, { ...good, counter: 3 }, true],
  ] as const;
  for (const [from, baseline, isRollback] of cases) {
    const count = async (): Promise<number> =>
      (await serving.types()).filter((type) => type === "fim.collector.rollback").length;
    const before = await count();
    await send(serving, reporter.heartbeat(await nonceOf(serving), { baseline: good }));
    await send(serving, from.heartbeat(await nonceOf(serving), { baseline }));
    t.is((await count()) - before, isRollback ? 1 : 0, JSON.stringify(baseline));
  }
});

onEachStore("an etcd whose newest names go back raises one alarm", async (t, start) => {
  await using serving = await start();
  const reporter = await enrolled(serving);
  const marks = [7, 8, 3, 4].map((at) => ({ wal: `${at.toString(16).padStart(16, "0")}-0` }));
  for (const etcd of marks)
    await send(serving, reporter.heartbeat(await nonceOf(serving), { etcd }));
  t.deepEqual(await serving.types(), ["fim.collector.rollback"]);
});

onEachStore("hostile bodies are refused with a reason, and nothing is stored", async (t, start) => {
  await using serving = await start();
  const reporter = await enrolled(serving);
  const lines = reporter.clone().batch(2);
  const [envelope = "", first = ""] = lines.split("\n");
  const bodies = ["", "\n\n", "{}", "[]", "null", first, envelope, `${envelope}\n${first}`, "\0"];
  for (const body of bodies) {
    const { status } = await send(serving, body);
    t.is(status, 400, JSON.stringify(body.slice(0, 40)));
  }
  const gzip = { "content-encoding": "gzip" };
  t.is((await send(serving, "no gzip", gzip)).status, 400);
  t.is((await send(serving, lines, { "content-type": "text/plain" })).status, 415);
  t.deepEqual(await serving.types(), []);
  t.is(await sendBytes(serving, gzipSync(Buffer.alloc(40 * 2 ** 20))), 413, "a bomb");
  t.is(await sendBytes(serving, gzipSync(lines)), 200);
});

test("strangers that hold the memory with bodies that never end are cut off, the largest first", async (t) => {
  await using serving = await startCollector();
  const reporter = await enrolled(serving);
  const headers = { "content-type": "application/x-ndjson" };
  const cut: string[] = [];
  const hold = async (name: string, megabytes: number) => {
    const one = request(`${serving.url}/v1/batches`, { method: "POST", headers, agent: false });
    one.on("error", () => cut.push(name));
    await new Promise((sent) => one.write(Buffer.alloc(megabytes * 2 ** 20, "x"), sent));
    return one;
  };
  const held = await Promise.all([
    hold("small", 1),
    ...Array.from({ length: 10 }, async () => await hold("large", 7)),
  ]);
  await until(() => cut.length > 0, 60_000);
  t.is((await send(serving, reporter.batch(50))).status, 200);
  t.false(cut.includes("small"));
  for (const one of held) one.destroy();
});

test("a key that is replaced while its batch is verified signs no more", async (t) => {
  await using serving = await startCollector();
  const reporter = await enrolled(serving);
  const parts = parseBody(Buffer.from(reporter.batch()));
  if ("problem" in parts) return t.fail(parts.problem);
  const { collector } = serving;
  const verify: Verifier["verify"] = async (job) => {
    const verified = await collector.verifier.verify(job);
    t.is((await new Reporter(reporter.node).enrol(serving)).status, 200);
    return verified;
  };
  const receiving = receive({ ...collector, verifier: { verify } as Verifier }, parts);
  await t.throwsAsync(receiving, { code: "STATE_BUSY" });
  t.false((await serving.types()).includes("fim.alert.modified"));
});

test("an alarm is raised although its commit runs again for the failure of another piece of work", async (t) => {
  await using serving = await startCollector();
  const reporter = await enrolled(serving);
  const forged = new Reporter(reporter.node).batch();
  const parts = parseBody(Buffer.from(forged));
  if ("problem" in parts) return t.fail(parts.problem);
  const { collector } = serving;
  const { store } = collector;
  const [verified, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const verify: Verifier["verify"] = async (job) => {
    const result = await collector.verifier.verify(job);
    verified.resolve();
    return result;
  };
  // One commit: the work that waits at the gate, the forged batch, the work that fails.
  const waiting = store.transact(async () => await gate.promise);
  const receiving = receive({ ...collector, verifier: { verify } as Verifier }, parts);
  await verified.promise;
  await setImmediate();
  const failing = store.transact(async () => {
    throw new Error("another failure");
  });
  gate.resolve();
  await t.throwsAsync(failing, { message: "another failure" });
  await waiting;
  t.like(await receiving, { kind: "refused" });
  t.is((await serving.types()).filter((type) => type === "fim.collector.rejected").length, 1);
});

onEachStore("a record that is not written as agents write it is refused", async (t, start) => {
  await using serving = await start();
  const reporter = await enrolled(serving);
  for (const body of ["text", ["a"], null, 7]) {
    const clone = reporter.clone();
    t.is((await send(serving, clone.batchOf([{ kind: "alert", body }]))).status, 401);
  }
  t.is((await send(serving, reporter.batchOf([{ kind: "alert", body: {} }]))).status, 200);
  const { body } = await serving.read("/v1/alerts?type=fim.alert.unknown");
  t.is((body["items"] as unknown[]).length, 1);
});

async function nodesOf(serving: Serving): Promise<readonly Record<string, unknown>[]> {
  const { body } = await serving.read("/v1/nodes");
  return body["items"] as readonly Record<string, unknown>[];
}

async function sendBytes({ url }: Serving, body: Buffer): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const headers = { "content-type": "application/x-ndjson", "content-encoding": "gzip" };
  request(`${url}/v1/batches`, { method: "POST", headers, agent: false }, (response) => {
    response.resume();
    resolve(response.statusCode ?? 0);
  })
    .once("error", reject)
    .end(body);
  return await promise;
}
