import { readFileSync } from "node:fs";
import test from "ava";
import {
  effectiveCapabilities,
  missingCapabilities,
  usefulCapabilities,
} from "../../src/linux/caps.ts";

test("the effective capabilities are those of /proc/self/status", (t) => {
  const told = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  t.is(effectiveCapabilities().toString(16), BigInt(`0x${told}`).toString(16));
});

test("each capability that is not there is missing, and no other", (t) => {
  t.deepEqual(missingCapabilities(0n), usefulCapabilities);
  t.deepEqual(missingCapabilities((1n << 41n) - 1n), []);
  const allButAdmin = ((1n << 41n) - 1n) ^ (1n << 21n);
  t.deepEqual(
    missingCapabilities(allButAdmin).map(({ name }) => name),
    ["CAP_SYS_ADMIN"],
  );
});
