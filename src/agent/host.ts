import { readFileSync } from "node:fs";
import { hostname, release } from "node:os";
import type { HostFacts } from "../core/alert.ts";
import type { Names } from "../core/subject.ts";
import { seenAt } from "../watch/engine.ts";

/** What the node says of itself in its own files. */
export function readHostFacts(root: string): HostFacts {
  const described = osRelease(read(root, "/etc/os-release") ?? read(root, "/usr/lib/os-release"));
  const machineId = read(root, "/etc/machine-id")?.trim();
  const bootId = read("/", "/proc/sys/kernel/random/boot_id")?.trim();
  return {
    hostname: read(root, "/etc/hostname")?.trim() || hostname(),
    ...(described["PRETTY_NAME"] && { osName: described["PRETTY_NAME"] }),
    ...(described["VERSION_ID"] && { osVersion: described["VERSION_ID"] }),
    kernel: release(),
    ...(machineId && { machineId }),
    ...(bootId && { bootId }),
  };
}

/** Names of users and groups from the node's own files, read again when they change hands too often to matter. */
export function namesOf(root: string): Names {
  const users = idNames(read(root, "/etc/passwd"));
  const groups = idNames(read(root, "/etc/group"));
  return { user: (uid) => users.get(uid), group: (gid) => groups.get(gid) };
}

function read(root: string, path: string): string | undefined {
  try {
    return readFileSync(seenAt(root, path), "utf8");
  } catch {
    return undefined;
  }
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
