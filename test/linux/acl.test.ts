import { Buffer } from "node:buffer";
import test from "ava";
import fc from "fast-check";
import { aclText } from "../../src/linux/acl.ts";

function entry(tag: number, permissions: number, id = 0xffff_ffff): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(tag, 0);
  bytes.writeUInt16LE(permissions, 2);
  bytes.writeUInt32LE(id, 4);
  return bytes;
}

const head = Buffer.of(2, 0, 0, 0);

test("an ACL is written as text with numeric ids", (t) => {
  const entries = [
    entry(1, 6),
    entry(2, 4, 1000),
    entry(4, 5),
    entry(8, 7, 4_000_000_000),
    entry(16, 7),
    entry(32, 0),
  ];
  const text = "user::rw-,user:1000:r--,group::r-x,group:4000000000:rwx,mask::rwx,other::---";
  t.is(aclText(Buffer.concat([head, ...entries])), text);
});

test("the entries of a default ACL say so", (t) => {
  const bytes = Buffer.concat([head, entry(1, 7), entry(32, 0)]);
  t.is(aclText(bytes, "default:"), "default:user::rwx,default:other::---");
});

test("bytes that are not an ACL have no text", (t) => {
  t.is(aclText(Buffer.alloc(0)), undefined);
  t.is(aclText(Buffer.concat([Buffer.of(1, 0, 0, 0), entry(1, 7)])), undefined);
  t.is(aclText(Buffer.concat([head, entry(3, 7)])), undefined);
  t.is(aclText(Buffer.concat([head, entry(1, 7)]).subarray(0, 11)), undefined);
});

test("no bytes make reading an ACL fail", (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const text = aclText(Buffer.concat([head, bytes]));
      return text === undefined || typeof text === "string";
    }),
  );
  t.pass();
});
