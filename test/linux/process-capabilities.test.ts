import { readFileSync } from "node:fs";
import test from "ava";
import {
  capabilityBits,
  hasCapability,
  readCapabilities,
} from "../../src/linux/process-capabilities.ts";

function reported(field: string): string {
  const found = new RegExp(String.raw`^${field}:\s*([0-9a-f]+)$`, "m").exec(
    readFileSync("/proc/thread-self/status", "utf8"),
  );
  return BigInt(`0x${found?.[1]}`).toString(16);
}

test("the capabilities that are read are those of /proc/thread-self/status", (t) => {
  const { effective, permitted, inheritable } = readCapabilities();
  t.is(effective.toString(16), reported("CapEff"));
  t.is(permitted.toString(16), reported("CapPrm"));
  t.is(inheritable.toString(16), reported("CapInh"));
});

test("a set has what it was made of, and nothing else", (t) => {
  const set = capabilityBits(["CAP_SYS_ADMIN", "CAP_BPF"]);
  t.is(set, (1n << 21n) | (1n << 39n));
  t.true(hasCapability(set, "CAP_SYS_ADMIN"));
  t.true(hasCapability(set, "CAP_BPF"));
  t.false(hasCapability(set, "CAP_PERFMON"));
  t.is(capabilityBits([]), 0n);
});
