import { constants } from "node:fs";
import { hostname, release } from "node:os";
import type { HostFacts } from "../core/record/alert.ts";
import type { Names } from "../core/record/ocsf-subject.ts";
import { close, openInRoot, openPlain, openRoot, readAt } from "../linux/files.ts";

/** Facts from the node's own files. */
export function readHostFacts(root: string): HostFacts {
  const described = osRelease(
    readNodeText(root, "/etc/os-release") ?? readNodeText(root, "/usr/lib/os-release"),
  );
  const machineId = readNodeText(root, "/etc/machine-id")?.trim();
  const bootId = readNodeText("/", "/proc/sys/kernel/random/boot_id")?.trim();
  return {
    hostname: readNodeText(root, "/etc/hostname")?.trim() || hostname(),
    ...(described["PRETTY_NAME"] && { osName: described["PRETTY_NAME"] }),
    ...(described["VERSION_ID"] && { osVersion: described["VERSION_ID"] }),
    kernel: release(),
    ...(machineId && { machineId }),
    ...(bootId && { bootId }),
  };
}

/** User and group names from the node's own files, read again when they change. */
export function namesOf(root: string): Names {
  const users = idNames(readNodeText(root, "/etc/passwd"));
  const groups = idNames(readNodeText(root, "/etc/group"));
  return { user: (uid) => users.get(uid), group: (gid) => groups.get(gid) };
}

const readFlags = constants.O_RDONLY | constants.O_NONBLOCK;
/** No such file is larger. */
const largest = 4 << 20;

/** The text of a file of the node. Opened inside the node's root: no link leads out, and no FIFO blocks. */
export function readNodeText(root: string, path: string): string | undefined {
  const rootFd = root === "/" ? -1 : openRoot(root);
  const fd = rootFd < 0 ? openPlain(-1, path, readFlags) : openInRoot(rootFd, path, readFlags);
  if (rootFd >= 0) close(rootFd);
  if (fd < 0) return undefined;
  try {
    return readText(fd);
  } finally {
    close(fd);
  }
}

function readText(fd: number): string | undefined {
  const chunks: Buffer[] = [];
  for (let offset = 0; offset < largest;) {
    const chunk = Buffer.alloc(1 << 16);
    const size = readAt(fd, offset, chunk);
    if (size < 0) return undefined;
    if (size === 0) break;
    chunks.push(chunk.subarray(0, size));
    offset += size;
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** os-release(5): NAME="value" a line. */
function osRelease(text = ""): Readonly<Record<string, string>> {
  const lines = text.matchAll(/^([A-Z_]+)=(?:"([^"\n]*)"|'([^'\n]*)'|([^\n]*))$/gm);
  return Object.fromEntries([...lines].map(([, key, a, b, c]) => [key, a ?? b ?? c ?? ""]));
}

/** passwd(5), group(5): the name is the first field, the number the third. */
function idNames(text = ""): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split("\n")) {
    const [name, , id] = line.split(":");
    if (name && id && /^\d+$/.test(id) && !names.has(Number(id))) names.set(Number(id), name);
  }
  return names;
}
