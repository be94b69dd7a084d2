import { resolve } from "node:path";
import { fail } from "./fail.ts";
import { runLocally, stopSignal } from "./local.ts";

try {
  await runLocally({ root: "/", place: resolve(".fim") }, stopSignal());
} catch (error) {
  process.exitCode = fail("fim-agent", error);
}
