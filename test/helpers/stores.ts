import test from "ava";
import type { ExecutionContext } from "ava";
import { startCollector } from "./collector.ts";
import { needing } from "./needs.ts";
import { postgresMissing, startPostgres } from "./postgres.ts";
import type { PostgresServer } from "./postgres.ts";

type Start = typeof startCollector;
type Body = (t: ExecutionContext, start: Start) => Promise<void>;

/** One for all tests of a file. */
let starting: Promise<PostgresServer> | undefined;

test.after.always("PostgreSQL stops", async () => await (await starting)?.[Symbol.asyncDispose]());

/** The address of an empty schema of a PostgreSQL that runs as long as the tests of this file. */
export async function postgresSchema(): Promise<string> {
  starting ??= startPostgres();
  return await (await starting).createSchema();
}

/** Declares a test for each store; `start` starts a collector on an empty one. */
export function onEachStore(title: string, body: Body): void {
  test(title, async (t) => await body(t, startCollector));
  needing(postgresMissing)(`${title}, on PostgreSQL`, async (t) => {
    const store = await postgresSchema();
    await body(t, async (options) => await startCollector({ ...options, store }));
  });
}
