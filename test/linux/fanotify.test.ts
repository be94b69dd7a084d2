import test from "ava";
import * as fc from "fast-check";
import { bits, parseEvents } from "../../src/linux/fanotify.ts";

/** One event as the kernel lays it out: see struct fanotify_event_metadata and its info records. */
function event(mask: number, pid: number, records: readonly Buffer[] = []): Buffer {
  const head = Buffer.alloc(24);
  const body = Buffer.concat(records);
  head.writeUInt32LE(head.length + body.length, 0);
  head.writeUInt8(3, 4);
  head.writeUInt16LE(24, 6);
  head.writeUInt32LE(mask, 8);
  head.writeInt32LE(-1, 16);
  head.writeInt32LE(pid, 20);
  return Buffer.concat([head, body]);
}

function record(type: number, handle: string, name?: string | Buffer): Buffer {
  const bytes = Buffer.from(handle, "latin1");
  const fixed = Buffer.alloc(20);
  fixed.writeUInt8(type, 0);
  fixed.write("FSIDFSID", 4, "latin1");
  fixed.writeUInt32LE(bytes.length, 12);
  fixed.writeInt32LE(1, 16);
  const text =
    name === undefined ? Buffer.alloc(0) : Buffer.concat([Buffer.from(name), Buffer.of(0)]);
  const all = Buffer.concat([fixed, bytes, text]);
  const padded = Buffer.concat([all, Buffer.alloc((4 - (all.length % 4)) % 4)]);
  padded.writeUInt16LE(padded.length, 2);
  return padded;
}

const key = (handle: string) =>
  `FSIDFSID${String.fromCharCode(handle.length, 0, 0, 0, 1, 0, 0, 0)}${handle}`;

const created = event(bits.create, 42, [record(2, "DIRDIRDI", "name"), record(1, "FILEFILE")]);
const renamed = event(bits.rename | 0x4000_0000, 7, [
  record(10, "OLDOLDOL", "from"),
  record(12, "NEWNEWNE", "to"),
]);

test("a create event reports the directory, the name, the object and the process", (t) => {
  t.deepEqual(parseEvents(created), {
    isWhole: true,
    events: [
      {
        bits: ["create"],
        isDirectory: false,
        pid: 42,
        entry: { dir: key("DIRDIRDI"), name: "name" },
        object: key("FILEFILE"),
      },
    ],
  });
});

test("a rename event reports both names, and that it is a directory", (t) => {
  const [parsed] = parseEvents(renamed).events;
  t.deepEqual(parsed?.bits, ["rename"]);
  t.true(parsed?.isDirectory);
  t.deepEqual(parsed?.oldEntry, { dir: key("OLDOLDOL"), name: "from" });
  t.deepEqual(parsed?.newEntry, { dir: key("NEWNEWNE"), name: "to" });
});

test("a merged event reports all of its bits", (t) => {
  const mask = bits.create | bits.attrib | bits.closeWrite | bits.delete;
  t.deepEqual(parseEvents(event(mask, 1)).events[0]?.bits.toSorted(), [
    "attrib",
    "closeWrite",
    "create",
    "delete",
  ]);
});

test("several events in one buffer keep their order", (t) => {
  const all = parseEvents(Buffer.concat([created, renamed, event(bits.overflow, 0)]));
  t.true(all.isWhole);
  t.deepEqual(
    all.events.map(({ bits: reported }) => reported[0]),
    ["create", "rename", "overflow"],
  );
});

test("a name that is not UTF-8 keeps its bytes", (t) => {
  const odd = event(bits.create, 1, [record(2, "DIRDIRDI", Buffer.from("a\xff", "latin1"))]);
  t.is(parseEvents(odd).events[0]?.entry?.name, "a\udcff");
});

test("a record of an unknown type is passed over", (t) => {
  const parsed = parseEvents(
    event(bits.create, 1, [record(99, "XXXXXXXX"), record(2, "DIRDIRDI", "n")]),
  );
  t.true(parsed.isWhole);
  t.is(parsed.events[0]?.entry?.name, "n");
});

test("a handle that claims to be longer than its record is left out", (t) => {
  const bad = record(2, "DIRDIRDI", "n");
  bad.writeUInt32LE(0xffff_ffff, 12);
  t.is(parseEvents(event(bits.create, 1, [bad])).events[0]?.entry, undefined);
});

test("a buffer cut off anywhere is not taken for whole", (t) => {
  const all = Buffer.concat([created, renamed]);
  for (let length = 1; length < all.length; length += 1) {
    const parsed = parseEvents(all.subarray(0, length));
    t.is(parsed.isWhole, length === created.length);
    t.is(parsed.events.length, length >= created.length ? 1 : 0);
  }
});

test("whatever the bytes are, parsing ends and never throws", (t) => {
  const mutated = fc
    .tuple(fc.nat(created.length + renamed.length - 1), fc.nat(255))
    .map(([at, value]) => {
      const bytes = Buffer.concat([created, renamed]);
      bytes[at] = value;
      return bytes;
    });
  const random = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.oneof(mutated, random), (bytes) => {
      const parsed = parseEvents(bytes);
      return parsed.events.length <= bytes.length / 24;
    }),
    { numRuns: 2000 },
  );
  t.pass();
});
