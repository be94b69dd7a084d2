import test from "ava";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqliteStore } from "../../../src/collector/store/sqlite/store.ts";
import { testStore } from "./contract.ts";
import type { OpenedStore } from "./contract.ts";
import { testDays } from "./days-contract.ts";
import { testLog } from "./log-contract.ts";

async function open(): Promise<OpenedStore> {
  const dir = mkdtempSync(join(tmpdir(), "fim-store-"));
  const store = openSqliteStore(join(dir, "collector.db"));
  return {
    store,
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      rmSync(dir, { recursive: true });
    },
  };
}

testStore(test, open);
testLog(test, open);
testDays(test, open);
