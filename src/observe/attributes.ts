import { aclText } from "../linux/acl.ts";
import { capabilityText } from "../linux/file-capabilities.ts";
import type { Xattr } from "../linux/xattr.ts";

/** The fields of an observation that come from extended attributes. */
export interface Attributes {
  readonly acl?: string;
  readonly capabilities?: string;
  readonly selinux?: string;
  readonly xattrs?: Readonly<Record<string, string>>;
}

const nothing: Attributes = {};

const accessAcl = "system.posix_acl_access";
const defaultAcl = "system.posix_acl_default";
/** Those of "system." that the file stores and that grant access; the kernel makes up the others. */
const storedSystem = new Set([
  accessAcl,
  defaultAcl,
  "system.nfs4_acl",
  "system.nfs4_dacl",
  "system.nfs4_sacl",
  "system.richacl",
]);

/** Decodes attributes that have a text form; keeps the others, and malformed ones, as base64. */
export function readAttributes(xattrs: readonly Xattr[]): Attributes {
  if (xattrs.length === 0) return nothing;
  let access: string | undefined;
  let inherited: string | undefined;
  let capabilities: string | undefined;
  let selinux: string | undefined;
  const others: Xattr[] = [];
  for (const xattr of xattrs) {
    const text = textOf(xattr);
    if (text === undefined) others.push(xattr);
    else if (xattr.name === accessAcl) access = text;
    else if (xattr.name === defaultAcl) inherited = text;
    else if (xattr.name === "security.capability") capabilities = text;
    else selinux = text;
  }
  const acl = [access, inherited].filter((part) => part !== undefined).join(",");
  const kept = keep(others);
  return {
    ...(acl !== "" && { acl }),
    ...(capabilities !== undefined && { capabilities }),
    ...(selinux !== undefined && { selinux }),
    ...(kept && { xattrs: kept }),
  };
}

function textOf({ name, value }: Xattr): string | undefined {
  switch (name) {
    case accessAcl:
      return aclText(value);
    case defaultAcl:
      return aclText(value, "default:");
    case "security.capability":
      return capabilityText(value);
    case "security.selinux":
      return value.toString("utf8").replace(/\0+$/, "");
    default:
      return undefined;
  }
}

/** Sorted by name. Built from entries, because assignment would give some names a meaning. */
function keep(xattrs: readonly Xattr[]): Record<string, string> | undefined {
  const kept = xattrs
    .filter(({ name }) => !name.startsWith("system.") || storedSystem.has(name))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  if (kept.length === 0) return undefined;
  return Object.fromEntries(kept.map(({ name, value }) => [name, value.toString("base64")]));
}
