import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import pino from "pino";
import { openCollector } from "../../src/collector/collector.ts";
import { claimLog, keepLog, releaseLog } from "../../src/collector/owner.ts";
import { onEachStore } from "../helpers/stores.ts";

onEachStore(
  "two collectors with different keys do not serve one store at once",
  async (t, start) => {
    await using serving = await start();
    const { store, clock, own } = serving.collector;
    const owner = { keyId: own.key.keyId, name: "test" };
    const [otherKey, otherName] = [
      { ...owner, keyId: "ed25519:0000000000000000" },
      { ...owner, name: "other" },
    ];
    await claimLog(store, owner, clock());
    for (const stranger of [otherKey, otherName])
      await t.throwsAsync(claimLog(store, stranger, clock() + 59_000), {
        code: "KEY_INVALID",
        message: `store: the collector test serves it with another key or name (${owner.keyId})`,
      });
    await claimLog(store, owner, clock());
    await claimLog(store, otherKey, clock() + 61_000);
    await t.throwsAsync(claimLog(store, owner, clock() + 61_000), { code: "KEY_INVALID" });
    await releaseLog(store, owner, clock() + 61_000);
    await t.throwsAsync(claimLog(store, owner, clock() + 61_000), { code: "KEY_INVALID" });
    await releaseLog(store, otherKey, clock() + 61_000);
    await claimLog(store, owner, clock() + 61_000);
    await claimLog(store, otherName, clock() - 1_000_000);
  },
);

onEachStore("a collector stops when another one has taken its store over", async (t, start) => {
  await using serving = await start();
  const { store, clock, own } = serving.collector;
  const owner = { keyId: own.key.keyId, name: "test" };
  const { promise: lost, resolve: onLost } = Promise.withResolvers<Error>();
  const log = pino({ level: "silent" });
  await using _ = keepLog({ store, owner, clock, log, onLost, every: 10 });
  const other = { keyId: "ed25519:0000000000000000", name: "other", at: clock() };
  await store.transact(async (tx) => await tx.writeMeta("owner of the log", JSON.stringify(other)));
  t.regex((await lost).message, /the collector other serves it with another key/);
});

test("a collector with its own key refuses a store that another one serves", async (t) => {
  const [one, two] = [1, 2].map(() => mkdtempSync(join(tmpdir(), "fim-owner-")));
  if (one === undefined || two === undefined) return t.fail();
  const store = `sqlite:${join(one, "collector.db")}`;
  {
    await using _ = await openCollector({ state: one, name: "a" }, Date.now);
    const error = await t.throwsAsync(openCollector({ state: two, name: "a", store }, Date.now), {
      code: "KEY_INVALID",
    });
    t.regex(
      String((error as { hint?: string } | undefined)?.hint),
      /copy agent.key from its --state/,
    );
  }
  for (const dir of [one, two]) rmSync(dir, { recursive: true });
});
