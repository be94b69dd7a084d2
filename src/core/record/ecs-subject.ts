import { nameOf, parentOf } from "../path.ts";
import {
  changeIn,
  changeOf,
  dateAt,
  dateOf,
  distinct,
  known,
  numberText,
  texts,
} from "./ecs-values.ts";
import type { Document } from "./ecs-values.ts";
import { fieldsOf, numberAt, textAt } from "./fields.ts";
import type { Notice } from "./notice.ts";

/** Who did what to which file: the parts of a document that only an alert has. */
export function subjectsOf({ body }: Notice): Document {
  const process = fieldsOf(fieldsOf(body["actor"])["process"]);
  const user = known({ id: textAt(process, "user", "uid"), name: textAt(process, "user", "name") });
  return {
    file: fileOf(body),
    process: processOf(body),
    user,
    container: known({
      id: textAt(process, "container", "uid"),
      name: textAt(process, "container", "name"),
    }),
    kubernetes: kubernetesOf(body),
    related: related(body),
  };
}

/** The file as it is now; of one that is gone, as it was. */
function fileOf(body: Document): Document {
  const fim = changeIn(body);
  const seen = fieldsOf(fim["after"] ?? fim["before"]);
  const file = fieldsOf(body["file_result"] ?? body["file"]);
  const path = textAt(fim, "path") ?? "";
  const mode = textAt(seen, "mode");
  return known({
    path,
    name: nameOf(path),
    directory: parentOf(path),
    extension: /[^.]\.([^./]{1,16})$/.exec(nameOf(path))?.[1],
    type: fileTypes[textAt(seen, "type") ?? ""] ?? textAt(seen, "type"),
    size: numberAt(seen, "size"),
    mtime: dateAt(seen, "mtime"),
    ctime: dateAt(file, "xattributes", "ctime"),
    created: dateOf(numberAt(file, "created_time")),
    inode: textAt(seen, "inode"),
    device: textAt(seen, "dev"),
    uid: numberText(seen, "uid"),
    gid: numberText(seen, "gid"),
    owner: textAt(file, "owner", "name"),
    group: textAt(file, "xattributes", "primary_group"),
    mode,
    setuid: mode === undefined ? undefined : hasBit(mode, 0o4000),
    setgid: mode === undefined ? undefined : hasBit(mode, 0o2000),
    target_path: textAt(seen, "target"),
    attributes: texts(seen, "flags"),
    hash: known({ sha256: textAt(seen, "sha256") }),
  });
}

const fileTypes: Readonly<Record<string, string>> = { directory: "dir" };

function processOf(body: Document): Document {
  const actor = fieldsOf(changeIn(body)["actor"]);
  const process = fieldsOf(fieldsOf(body["actor"])["process"]);
  return known({
    pid: numberAt(actor, "pid"),
    name: textAt(process, "name"),
    executable: textAt(actor, "exe"),
    command_line: textAt(process, "cmd_line"),
    args: texts(actor, "cmdline"),
    parent: known({ name: texts(actor, "ancestry")[0] }),
    user: known({ id: textAt(process, "user", "uid"), name: textAt(process, "user", "name") }),
  });
}

function kubernetesOf(body: Document): Document {
  const container = fieldsOf(fieldsOf(changeIn(body)["actor"])["container"]);
  return known({
    namespace: textAt(container, "namespace"),
    pod: known({ name: textAt(container, "pod"), uid: textAt(container, "podUid") }),
  });
}

function hasBit(mode: string, bit: number): boolean {
  return (Number.parseInt(mode, 8) & bit) !== 0;
}

/** The change as the agent wrote it, without what has a place in ECS. */
export function fimOf(body: Document): Document {
  const fim = changeIn(body);
  return known({
    change: changeOf(body),
    fields: texts(fim, "fields"),
    steps: texts(fim, "steps"),
    from: textAt(fim, "from"),
    via: textAt(fim, "via"),
    class: textAt(fim, "class"),
    severity: textAt(fim, "severity"),
    verdict: textAt(fim, "verdict"),
    meaning: texts(fim, "meaning"),
    incident: textAt(fim, "incident"),
    count: numberAt(fim, "count"),
    offline: fim["offline"] === true || undefined,
    restored: fim["restored"] === true || undefined,
    login_uid: numberText(fim, "actor", "loginUid"),
    candidates: texts(fim, "actor", "candidates"),
    before: beforeOf(fim),
  });
}

function beforeOf(fim: Document): Document {
  const before = fieldsOf(fim["before"]);
  if (fim["after"] === undefined) return {};
  return known({
    type: textAt(before, "type"),
    mode: textAt(before, "mode"),
    uid: numberText(before, "uid"),
    gid: numberText(before, "gid"),
    size: numberAt(before, "size"),
    mtime: dateAt(before, "mtime"),
    target_path: textAt(before, "target"),
    hash: known({ sha256: textAt(before, "sha256") }),
  });
}

function related(body: Document): Document {
  const fim = changeIn(body);
  const hashes = [textAt(fim, "before", "sha256"), textAt(fim, "after", "sha256")];
  const user = textAt(body, "actor", "process", "user", "name");
  return known({
    hash: distinct(hashes.filter((hash) => hash !== undefined)),
    hosts: distinct([textAt(body, "device", "hostname")].filter((host) => host !== undefined)),
    user: user === undefined ? [] : [user],
  });
}
