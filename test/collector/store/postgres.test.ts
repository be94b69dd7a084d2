import { openPostgresStore } from "../../../src/collector/store/postgres/store.ts";
import { needing } from "../../helpers/needs.ts";
import { postgresMissing } from "../../helpers/postgres.ts";
import { postgresSchema } from "../../helpers/stores.ts";
import { batch, enrol, now } from "./rows.ts";
import { testStore } from "./contract.ts";
import type { OpenedStore } from "./contract.ts";
import { testDays } from "./days-contract.ts";
import { testLog } from "./log-contract.ts";

async function open(): Promise<OpenedStore> {
  const store = await openPostgresStore(await postgresSchema());
  return { store, [Symbol.asyncDispose]: async () => await store[Symbol.asyncDispose]() };
}

testStore(needing(postgresMissing), open);
testLog(needing(postgresMissing), open);
testDays(needing(postgresMissing), open);

needing(postgresMissing)("a statement that failed is named, not the one after it", async (t) => {
  await using opened = await open();
  const { store } = opened;
  const node = await enrol(store);
  const odd = { ...batch(1), head: { seq: 2 ** 70, hash: "00" } };
  const error = await t.throwsAsync(
    store.transact(async (tx) => {
      await tx.append(node.id, odd, now);
      await tx.endAlarm(node.id, "gap");
    }),
    { code: "STATE_UNUSABLE" },
  );
  t.regex(error?.message ?? "", /bigint/);
});
