import test from "ava";
import { genesisHead, link } from "../../../src/core/record/chain.ts";
import { timeOf } from "../../../src/core/record/queued.ts";

const at = "2026-11-26T12:00:00.123Z";

test("the time of a record is read from its first keys, whatever its chain and body say", (t) => {
  const body = { at: "2001-01-01T00:00:00.000Z", prev: "", text: "x".repeat(1 << 20) };
  const chain = `a"prev":"","at":"2001-01-01T00:00:00.000Z"/b/c`;
  const { bytes } = link(genesisHead(Buffer.alloc(32)), chain, { at, kind: "agent", body });
  t.is(timeOf(bytes), Date.parse(at));
});

test("what is no record has no time", (t) => {
  for (const text of ["", "{}", `{"prev":"","at":"yesterday"}`])
    t.is(timeOf(Buffer.from(text)), undefined);
});
