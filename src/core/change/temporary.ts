import { isBriefAttribute, slight } from "./change.ts";
import type { Change } from "./change.ts";
import { differences } from "./compare.ts";
import type { Approved } from "./restored.ts";
import type { Observation } from "./observation.ts";

/** Names beside a file under which dpkg and rpm unpack it and editors keep a copy: the file's own name first. */
const patterns: readonly RegExp[] = [
  /^(.+)\.dpkg-(?:new|tmp)$/s,
  /^(.+);[0-9a-f]{8}$/s,
  /^(.+[^/])~$/s,
];

/** S_ISUID and S_ISGID (inode(7)). */
const setIds = 0o6000;

/** Programs that unpack under a temporary name, by their real path. */
export const packageManagers: readonly string[] = ["/usr/bin/dpkg", "/usr/bin/rpm"];

/** The file beside which a name of this form is a temporary one. */
export function fileBeside(path: string): string | undefined {
  const [file] = patterns.flatMap((one) => one.exec(path)?.[1] ?? []);
  return file === undefined || file.endsWith("/") ? undefined : file;
}

/**
 * The file whose copy a change made or removed under a temporary name, or gave an attribute that it had: dpkg does all
 * three with a configuration file that stays as it is. Only an exact copy of an approved state
 * counts, so that such a name hides nothing new; where it stays, `check` reports it.
 */
export function copiedFile(change: Change, approved: Approved): string | undefined {
  const copy = copyIn(change);
  if (!copy || approved(change.path)) return undefined;
  if (givesRights(copy)) return undefined;
  const file = fileBeside(change.path);
  return file !== undefined && isCopy(copy, approved(file)) ? file : undefined;
}

/** Such a program gives its rights to the user of any copy of it, through later updates too. */
export function givesRights({ mode, capabilities }: Observation): boolean {
  return (mode & setIds) !== 0 || capabilities !== undefined;
}

function copyIn(change: Change): Observation | undefined {
  if (change.kind === "created") return change.after;
  return change.kind === "deleted" || isBriefAttribute(change) ? change.before : undefined;
}

function isCopy(copy: Observation, of: Observation | undefined): boolean {
  if (of?.type !== "file" || of.sha256 === undefined || of.sha256 !== copy.sha256) return false;
  return differences(of, copy).every((field) => slight.includes(field));
}
