import { Buffer } from "node:buffer";
import test from "ava";
import fc from "fast-check";
import { capabilityText } from "../../src/linux/file-capabilities.ts";

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, at) => bytes.writeUInt32LE(value >>> 0, at * 4));
  return bytes;
}

const netRaw = 1 << 13;

test("capabilities are written as getcap prints them", (t) => {
  t.is(capabilityText(words(0x0200_0001, netRaw, 0, 0, 0)), "cap_net_raw=ep");
  t.is(capabilityText(words(0x0200_0000, netRaw, 1, 0, 0)), "cap_chown=i cap_net_raw+p");
  t.is(
    capabilityText(words(0x0200_0001, 1 | netRaw, netRaw, 0, 0)),
    "cap_net_raw=eip cap_chown+ep",
  );
  t.is(capabilityText(words(0x0200_0001, 0, 0, 1 << 7, 0)), "cap_bpf=ep");
  t.is(capabilityText(words(0x0200_0001, 0, 0, 1 << 31, 0)), "= 63+ep");
  t.is(capabilityText(words(0x0200_0000, 0, 0, 0, 0)), "=");
});

test("revision 3 names the root user of its namespace, revision 1 has 32 capabilities", (t) => {
  t.is(capabilityText(words(0x0300_0001, netRaw, 0, 0, 0, 1000)), "cap_net_raw=ep [rootid=1000]");
  t.is(capabilityText(words(0x0300_0001, netRaw, 0, 0, 0, 0)), "cap_net_raw=ep");
  t.is(capabilityText(words(0x0100_0001, netRaw, 0)), "cap_net_raw=ep");
});

test("bytes of no known revision have no text", (t) => {
  t.is(capabilityText(Buffer.alloc(0)), undefined);
  t.is(capabilityText(words(0x0400_0001, netRaw, 0, 0, 0)), undefined);
  t.is(capabilityText(words(0x0200_0001, netRaw, 0, 0)), undefined);
});

test("no bytes make reading capabilities fail", (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 32 }), (bytes) => {
      const text = capabilityText(Buffer.from(bytes));
      return text === undefined || text.length > 0;
    }),
  );
  t.pass();
});
