import { openPostgresStore } from "../../../src/collector/store/postgres/store.ts";
import { needing } from "../../helpers/needs.ts";
import { postgresMissing } from "../../helpers/postgres.ts";
import { postgresSchema } from "../../helpers/stores.ts";
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
