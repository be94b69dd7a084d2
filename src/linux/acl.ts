import type { Buffer } from "node:buffer";

// The bytes of system.posix_acl_access and system.posix_acl_default, linux/posix_acl_xattr.h:
// u32 version, then for each entry u16 tag, u16 permissions, u32 id; little-endian on every machine.
const version = 2;
const headSize = 4;
const entrySize = 8;

const tags = new Map<number, { readonly name: string; readonly hasId: boolean }>([
  [0x01, { name: "user", hasId: false }], // ACL_USER_OBJ, linux/posix_acl.h
  [0x02, { name: "user", hasId: true }], // ACL_USER
  [0x04, { name: "group", hasId: false }], // ACL_GROUP_OBJ
  [0x08, { name: "group", hasId: true }], // ACL_GROUP
  [0x10, { name: "mask", hasId: false }], // ACL_MASK
  [0x20, { name: "other", hasId: false }], // ACL_OTHER
]);

/** Bytes -> the short text form of acl(5) with numeric ids, or undefined when they are not an ACL. */
export function aclText(bytes: Buffer, prefix = ""): string | undefined {
  if (bytes.length < headSize || bytes.readUInt32LE(0) !== version) return undefined;
  if ((bytes.length - headSize) % entrySize !== 0) return undefined;
  const entries: string[] = [];
  for (let at = headSize; at < bytes.length; at += entrySize) {
    const tag = tags.get(bytes.readUInt16LE(at));
    if (!tag) return undefined;
    const id = tag.hasId ? bytes.readUInt32LE(at + 4) : "";
    entries.push(`${prefix}${tag.name}:${id}:${permissions(bytes.readUInt16LE(at + 2))}`);
  }
  return entries.join(",");
}

function permissions(bits: number): string {
  return `${bits & 4 ? "r" : "-"}${bits & 2 ? "w" : "-"}${bits & 1 ? "x" : "-"}`;
}
