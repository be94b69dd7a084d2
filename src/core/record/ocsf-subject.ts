import type { Change } from "../change/change.ts";
import type { Mount } from "../change/mount.ts";
import type { Actor } from "../change/hint.ts";
import type { FileType, Observation } from "../change/observation.ts";
import { isSameInode } from "../change/observation.ts";
import type { OcsfActor, OcsfContainer, OcsfFile, OcsfObservable, OcsfUser } from "./ocsf.ts";
import { nameOf, parentOf, printable, showPath } from "../path.ts";
import { present } from "../present.ts";
import { bounded, xattrDigests } from "../text/bounded.ts";
import { octalMode } from "../text/change-json.ts";

/** The node's user and group names, where it has them. */
export interface Names {
  readonly user: (uid: number) => string | undefined;
  readonly group: (gid: number) => string | undefined;
}

/** The actor and the file of an event. */
interface Subjects {
  readonly file: OcsfFile;
  readonly file_result?: OcsfFile;
}

/** The file before and after a change, as OCSF has them. */
export function subjectsOf(change: Change, names: Names): Subjects {
  const at = (path: string, seen?: Observation) => toFile(path, seen, names);
  const { path } = change;
  switch (change.kind) {
    case "created":
      return { file: at(path, change.after), file_result: at(path, change.after) };
    case "deleted":
      return { file: { ...at(path, change.before), is_deleted: true } };
    case "modified":
      return { file: at(path, change.before), file_result: at(path, change.after) };
    case "renamed": {
      // The overwritten file never had the old name: the file that has the new name now did.
      const moved = isSameInode(change.before, change.after) ? change.before : change.after;
      return { file: at(change.from, moved), file_result: at(path, change.after) };
    }
    case "transient":
      return { file: at(path, change.before) };
    case "mounted":
      return {
        file: { ...at(path, change.before), ...mountPointType(change.before) },
        file_result: withMount({ ...at(path), ...mountPointType(change.before) }, change.mount),
      };
    case "unmounted": {
      const file = { ...at(path, change.before), ...mountPointType(change.before) };
      return { file: withMount(file, change.mount) };
    }
    case "unreadable": {
      const file = at(path, change.before ?? change.after);
      return change.after ? { file, file_result: at(path, change.after) } : { file };
    }
  }
}

const fileTypes = {
  file: { id: 1, caption: "Regular File", bits: 0o100000 },
  directory: { id: 2, caption: "Folder", bits: 0o040000 },
  char: { id: 3, caption: "Character Device", bits: 0o020000 },
  block: { id: 4, caption: "Block Device", bits: 0o060000 },
  socket: { id: 5, caption: "Local Socket", bits: 0o140000 },
  fifo: { id: 6, caption: "Named Pipe", bits: 0o010000 },
  symlink: { id: 7, caption: "Symbolic Link", bits: 0o120000 },
} as const satisfies Record<FileType, { id: number; caption: string; bits: number }>;

function toFile(path: string, seen: Observation | undefined, names: Names): OcsfFile {
  const named = {
    name: path === "/" ? "/" : showPath(nameOf(path)).text,
    path: showPath(path).text,
    parent_folder: showPath(parentOf(path)).text,
  };
  return seen
    ? { ...named, ...attributesOf(seen, names) }
    : { ...named, type_id: 0, type: "Unknown" };
}

function attributesOf(seen: Observation, names: Names) {
  const { id, caption, bits } = fileTypes[seen.type];
  const isExecutable = seen.type === "file" && (seen.mode & 0o111) !== 0;
  return present({
    type_id: isExecutable ? 8 : id,
    type: isExecutable ? "Executable File" : caption,
    uid: `dev:${seen.dev}/ino:${seen.ino}`,
    size: seen.size,
    modified_time: milliseconds(seen.mtime),
    created_time: milliseconds(seen.btime),
    attributes: bits | seen.mode,
    is_readonly: seen.flags?.includes("immutable"),
    security_descriptor: descriptorOf(bits, seen, names),
    owner: toUser(seen.uid, names),
    hashes:
      seen.sha256 === undefined || seen.unreadable !== undefined
        ? undefined
        : ([sha256(seen.sha256)] as const),
    xattributes: xattributesOf(seen, names),
  });
}

function sha256(value: string) {
  return { algorithm_id: 3, algorithm: "SHA-256", value } as const;
}

function milliseconds(time: string | undefined): number | undefined {
  const at = time === undefined ? Number.NaN : Date.parse(time);
  return Number.isNaN(at) ? undefined : at;
}

function descriptorOf(bits: number, seen: Observation, names: Names): string {
  const mode = (bits | seen.mode).toString(8).padStart(6, "0");
  const owner = `${names.user(seen.uid) ?? ""}(${seen.uid})`;
  const group = `${names.group(seen.gid) ?? ""}(${seen.gid})`;
  const label = seen.selinux === undefined ? "" : ` ${seen.selinux}`;
  return printable(`${mode} ${owner}:${group}${label}`);
}

/** OCSF leaves xattributes open; the names are those of its own description, of xattr(7) and of stat(2). */
function xattributesOf(seen: Observation, names: Names): Record<string, unknown> {
  return present({
    mode: octalMode(seen.mode),
    uid: seen.uid,
    gid: seen.gid,
    primary_group: names.group(seen.gid),
    inode: seen.ino,
    device: seen.dev,
    hard_link_count: seen.nlink,
    ctime: seen.ctime,
    link_name: seen.type === "symlink" ? seen.target : undefined,
    rdev: seen.type === "symlink" ? undefined : seen.target,
    "system.posix_acl_access": seen.acl && bounded(seen.acl),
    "security.capability": seen.capabilities,
    "security.selinux": seen.selinux,
    flags: seen.flags,
    sha256_of_values: seen.xattrs && xattrDigests(seen.xattrs),
  });
}

/** The kernel mounts directories on directories only. One that is not watched itself leads to watched paths. */
function mountPointType(before: Observation | undefined): Pick<OcsfFile, "type_id" | "type"> {
  const { id, caption } = fileTypes[before?.type ?? "directory"];
  return { type_id: id, type: caption };
}

function withMount(file: OcsfFile, mount: Mount): OcsfFile {
  return {
    ...file,
    volume: mount.source,
    xattributes: {
      ...file.xattributes,
      "mount.id": mount.id,
      "mount.root": mount.root,
      "mount.fstype": mount.type,
      "mount.source": mount.source,
      "mount.options": mount.options.join(","),
      "mount.device": mount.dev,
    },
  };
}

/** An unknown actor is marked so; a user is never invented. */
export function toActor(actor: Actor | undefined, names: Names): OcsfActor {
  if (!actor) return { app_name: "Unknown" };
  const user = actor.uid === undefined ? undefined : toUser(actor.uid, names);
  const process = present({
    pid: actor.pid,
    name: actor.comm ?? (actor.exe === undefined ? undefined : nameOf(actor.exe)),
    path: actor.exe,
    cmd_line: actor.cmdline?.join(" "),
    euid: integer(actor.uid),
    auid: integer(actor.loginUid),
    user,
    container: actor.container && toContainer(actor.container),
    ancestry: actor.ancestry?.map((name) => ({ name })),
  });
  return present({ process, user });
}

/** OCSF's integer has 32 bits with a sign: a larger value is absent. */
export function integer(value: number | undefined): number | undefined {
  return value !== undefined && Math.abs(value) < 2 ** 31 ? value : undefined;
}

function toUser(uid: number, names: Names): OcsfUser {
  const kind =
    uid === 0 ? ({ type_id: 2, type: "Admin" } as const) : ({ type_id: 1, type: "User" } as const);
  return present({ name: names.user(uid), uid: String(uid), ...kind });
}

const uuidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function toContainer(container: NonNullable<Actor["container"]>): OcsfContainer {
  const { id, name, pod, namespace, podUid } = container;
  const labels = [
    ...(namespace === undefined ? [] : [`k8s.namespace.name:${namespace}`]),
    ...(pod === undefined ? [] : [`k8s.pod.name:${pod}`]),
  ];
  return present({
    uid: id,
    name,
    orchestrator: pod === undefined && podUid === undefined ? undefined : "kubernetes",
    pod_uuid: podUid === undefined ? undefined : dashedUuid(podUid),
    labels: labels.length > 0 ? labels : undefined,
  });
}

/** A UUID with dashes: a machine id (machine-id(5)) and a static pod's uid have none. */
export function dashedUuid(text: string): string | undefined {
  const dashed = /^[0-9a-f]{32}$/i.test(text)
    ? text.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")
    : text;
  return uuidPattern.test(dashed) ? dashed : undefined;
}

/** Search terms for a SIEM: every name, path, digest and process of the event. */
export function observablesOf(hostname: string, who: OcsfActor, what: Subjects): OcsfObservable[] {
  const process = "process" in who ? who.process : undefined;
  return [
    ...observable("device.hostname", "Hostname", hostname),
    ...observablesOfFile("file", what.file),
    ...(what.file_result ? observablesOfFile("file_result", what.file_result) : []),
    ...observable("actor.process.name", "Process Name", process?.name),
    ...observable("actor.process.cmd_line", "Command Line", process?.cmd_line),
    ...observable("actor.process.pid", "Process ID", process?.pid),
    ...observable("actor.process.user.name", "User Name", process?.user?.name),
  ];
}

function observablesOfFile(name: string, file: OcsfFile): readonly OcsfObservable[] {
  return [
    ...observable(`${name}.path`, "File Path", file.path),
    ...observable(`${name}.name`, "File Name", file.name),
    ...observable(`${name}.hashes[0].value`, "Hash", file.hashes?.[0].value),
  ];
}

const observableTypes = {
  Hostname: 1,
  "User Name": 4,
  "File Name": 7,
  Hash: 8,
  "Process Name": 9,
  "Command Line": 13,
  "Process ID": 15,
  "File Path": 45,
} as const;

function observable(
  name: string,
  type: keyof typeof observableTypes,
  value: string | number | undefined,
): readonly OcsfObservable[] {
  return value === undefined
    ? []
    : [{ name, type_id: observableTypes[type], type, value: String(value) }];
}
