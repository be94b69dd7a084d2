import { raiseLockedMemory } from "../../linux/limits.ts";
import { messageOf } from "../../core/error.ts";
import { Buffer } from "node:buffer";
import { existsSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { encodePath } from "../../core/path.ts";
import { Attribution, seesNode } from "../../attribute/attribute.ts";
import { markEntry, openGroup } from "../../linux/fanotify.ts";
import type { Level } from "../../linux/fanotify.ts";
import { close, lookFlags, openInRoot, openRoot } from "../../linux/files.ts";
import { errnoName } from "../../linux/libc.ts";
import { openTracefs } from "../../linux/bpf/perf.ts";
import { readPrivileges } from "../../linux/privileges.ts";
import type { Privileges } from "../../linux/privileges.ts";
import { supportsXattrs } from "../../linux/xattr.ts";
import { startChokidar } from "../../watch/chokidar/engine.ts";
import { filesystemOf, findMountTable } from "../../watch/mounts.ts";
import { needs, standingOf, surplusOf } from "../privileges.ts";
import type { Need } from "../privileges.ts";

interface Examined {
  readonly what: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** What the kernel and our privileges allow here, and what each missing part costs. */
export function examine(root: string, state: string): readonly Examined[] {
  const now = readPrivileges();
  const events = attempt("engine fanotify", () => {
    // It finds what it marks with openat2.
    openat2(root);
    return fanotify(nearest(state));
  });
  return [
    ...needs.map((need) => capability(need, now)),
    privileges(now),
    userNamespace(),
    processes(),
    events,
    { what: "engine chokidar", ok: true, detail: `cannot see: ${chokidarBlind(root).join("; ")}` },
    attribution(root, events.ok),
    attempt("tracefs", tracefs),
    lockdown(),
    attempt("openat2", () => openat2(root)),
    { what: "mounts", ok: true, detail: `read from ${findMountTable(root).file}` },
    ...[...new Set([root, state])].map(attributes),
  ];
}

function capability(need: Need, { effective }: Privileges): Examined {
  const what = `capability ${need.name}`;
  switch (standingOf(need, effective)) {
    case "there":
      return { what, ok: true, detail: `there: ${need.why}` };
    case "replaced":
      return { what, ok: true, detail: `missing, but ${need.standIn} contains it: ${need.why}` };
    case "missing":
      return { what, ok: false, detail: `missing: ${need.without}` };
  }
}

function privileges(now: Privileges): Examined {
  const surplus = surplusOf(now);
  const gives =
    surplus > 0 ? `watch gives up ${surplus} other capabilities` : "no other capability is held";
  const gains = now.gainsNothing ? "no_new_privs is set" : "watch sets no_new_privs";
  return { what: "privileges", ok: true, detail: `${gives}; ${gains}` };
}

/** user_namespaces(7): the first one maps all numbers to themselves. */
function userNamespace(): Examined {
  const isFirst = /^\s*0\s+0\s+4294967295\s*$/.test(read("/proc/self/uid_map") ?? "");
  const detail = isFirst
    ? "the node's"
    : "another than the node's: the capabilities above hold within it only, so fanotify and BPF are refused and other owners look alike";
  return { what: "user namespace", ok: isFirst, detail };
}

/** Without hostPID the kernel gives 0 as the pid of a process outside our PID namespace. */
function processes(): Examined {
  const isNode = seesNode("/proc");
  const init = read("/proc/1/comm")?.trim() ?? "not seen";
  const detail = isNode
    ? `the node's are seen, process 1 is ${init}`
    : `only those of this container (process 1 is ${init}): no process outside is named; set hostPID`;
  return { what: "processes", ok: isNode, detail };
}

const gives: Readonly<Record<Level, string>> = {
  target: "the kernel gives renames in one event, and the identity of every object",
  file: "the kernel gives a rename as two events, which the agent pairs",
};

/** seccomp can allow a group and refuse a mark, so this sets one where `watch` will prove itself. */
function fanotify(place: string): string {
  const group = openGroup();
  try {
    const name = Buffer.concat([encodePath(place), Buffer.of(0)]);
    const marked = markEntry({ group, wanted: ["attrib"], target: "directory" }, -1, name);
    if (marked < 0) {
      const filesystem = filesystemOf("/", place) ?? "an unknown filesystem";
      throw new Error(`fanotify_mark: ${errnoName(-marked)} at ${place} on ${filesystem}`);
    }
    return `level ${group.level} (${gives[group.level]})`;
  } finally {
    close(group.fd);
  }
}

function chokidarBlind(root: string): readonly string[] {
  const stop = new AbortController();
  const nothing = { find: () => undefined, mayMatchBelow: () => false, roots: [] };
  const engine = startChokidar({
    root,
    index: nothing,
    directories: () => [],
    sink: () => undefined,
    signal: stop.signal,
    now: Date.now,
  });
  stop.abort();
  return engine.blind;
}

/** Opens the BPF programs and closes them again. */
function attribution(root: string, hasEvents: boolean): Examined {
  if (!hasEvents)
    return { what: "attribution", ok: false, detail: "mode none: only fanotify gives the process" };
  raiseLockedMemory();
  using opened = Attribution.open({ root });
  const { mode, blind } = opened;
  const lost = blind.length > 0 ? `, cannot see: ${blind.join("; ")}` : "";
  return { what: "attribution", ok: mode === "bpf", detail: `mode ${mode}${lost}` };
}

function tracefs(): string {
  using opened = openTracefs();
  return opened.path.startsWith("/proc/")
    ? "not mounted: one of our own is used, that no other process sees"
    : `mounted at ${opened.path}`;
}

/** kernel_lockdown(7): "none [integrity] confidentiality". */
function lockdown(): Examined {
  const mode = /\[(\w+)\]/.exec(read("/sys/kernel/security/lockdown") ?? "")?.[1] ?? "none";
  const ok = mode !== "confidentiality";
  const detail = ok ? mode : `${mode}: BPF may not read the arguments and names of processes`;
  return { what: "lockdown", ok, detail };
}

function openat2(root: string): string {
  const rootFd = openRoot(root);
  try {
    const fd = openInRoot(rootFd, "/", lookFlags);
    if (fd < 0)
      throw new Error(`${errnoName(-fd)}: only with --root / can the node be watched without it`);
    close(fd);
    return "no symbolic link leads out of the root";
  } finally {
    close(rootFd);
  }
}

function attributes(path: string): Examined {
  const place = nearest(path);
  const ok = supportsXattrs(place);
  const detail = ok
    ? "extended attributes are supported"
    : "no extended attributes: ACLs, capabilities and labels of files cannot exist there, or are not visible";
  return { what: `filesystem of ${path}`, ok, detail };
}

/** The path itself, or the nearest existing directory above it. */
export function nearest(path: string): string {
  return path === "/" || existsSync(path) ? path : nearest(dirname(path));
}

function attempt(what: string, work: () => string): Examined {
  try {
    return { what, ok: true, detail: work() };
  } catch (error) {
    return { what, ok: false, detail: messageOf(error) };
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
