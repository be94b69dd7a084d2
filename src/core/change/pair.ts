import { compare, differences, isSameFile, stayed } from "./compare.ts";
import type { Look } from "./compare.ts";
import { fields as allFields } from "./change.ts";
import type { Change } from "./change.ts";
import type { Observation } from "./observation.ts";
import { parentOf } from "../path.ts";
import { inOrder, plainOrder } from "./history.ts";
import type { Moved } from "./history.ts";

/** A rename as the kernel reported it, believed for its names alone. */
export interface RenameFact {
  readonly from: string;
  readonly to: string;
}

/**
 * Turns looks at many paths into changes and pairs names: first by the kernel's rename events and by inode, then by
 * digest. Each differing look appears in exactly one change: as its path, as its `from`, or within a directory's
 * count.
 */
export function pair(looks: readonly Look[], facts: readonly RenameFact[] = []): readonly Change[] {
  const byPath = new Map(looks.map((look) => [look.path, look]));
  const moves = new Map<string, Moved>();
  for (const move of movesByInode(looks)) moves.set(move.to.path, move);
  for (const move of movesByDigest(looks, moves)) moves.set(move.to.path, move);
  for (const move of movesByPlace(byPath, moves)) moves.set(move.to.path, move);

  const list = [...moves.values()];
  const carriers = carriersOf(list);
  const carried = Map.groupBy(carriers.values(), ({ to }) => to.path);
  const left = new Set(list.map((move) => move.from.path));
  const alone = (look: Look): Change | undefined => withVia(compare(look), facts, byPath);
  const changes = looks.map((look) => {
    const move = moves.get(look.path);
    if (move && carriers.has(move)) return withVia(changedWhileCarried(move), facts, byPath);
    if (move) return renamed(move, carried.get(look.path)?.length ?? 0);
    return left.has(look.path) && !look.after ? undefined : alone(look);
  });
  const ordered = inOrder({ looks, moves: list, changes: changes.filter(isChange) });
  return ordered ?? plainOrder(looks.map(alone).filter(isChange));
}

const isChange = (change: Change | undefined): change is Change => change !== undefined;

/** Every inode that left one path and arrived at another. */
function movesByInode(looks: readonly Look[]): Moved[] {
  const leavers = new Map<string, Look[]>();
  for (const look of looks)
    if (look.before && !stayed(look)) push(leavers, inodeKey(look.before), look);
  const moves: Moved[] = [];
  for (const to of looks) {
    const { after } = to;
    if (!after || stayed(to)) continue;
    const candidates = leavers.get(inodeKey(after)) ?? [];
    const at = candidates.findIndex(
      (from) => from.path !== to.path && from.before && isSameFile(from.before, after),
    );
    const from = candidates[at];
    if (!from) continue;
    candidates.splice(at, 1);
    moves.push({ from, to });
  }
  return moves;
}

/** A file deleted at one path and created with the same content at another, if neither has a second candidate. */
function movesByDigest(looks: readonly Look[], known: ReadonlyMap<string, Moved>): Moved[] {
  const taken = new Set([...known.values()].map((move) => move.from.path));
  const staying = new Set(looks.filter(stayed).map(({ after }) => after && inodeKey(after)));
  const deleted = new Map<string, Look[]>();
  const created = new Map<string, Look[]>();
  for (const look of looks) {
    const { path, before, after } = look;
    if (before && !after && !taken.has(path)) push(deleted, digestKey(before), look);
    // A further name of a file that still has its old one is no rename.
    if (after && !before && !known.has(path) && !staying.has(inodeKey(after)))
      push(created, digestKey(after), look);
  }
  const moves: Moved[] = [];
  for (const [key, from] of deleted) {
    const to = created.get(key);
    if (key !== "" && from.length === 1 && from[0] && to?.length === 1 && to[0])
      moves.push({ from: from[0], to: to[0] });
  }
  return moves;
}

/** A file replaced inside a moved directory: the name moved along and holds another file. */
function movesByPlace(
  looks: ReadonlyMap<string, Look>,
  known: ReadonlyMap<string, Moved>,
): Moved[] {
  const directories = directoriesOf([...known.values()]);
  const taken = new Set([...known.values()].map((move) => move.from.path));
  return [...(directories.size > 0 ? looks.values() : [])].flatMap((from) => {
    if (!from.before || from.after || taken.has(from.path)) return [];
    for (let dir = parentOf(from.path); dir !== "/"; dir = parentOf(dir)) {
      const above = directories.get(dir);
      const to = above && looks.get(above.to.path + from.path.slice(dir.length));
      if (to?.after && !to.before && !known.has(to.path)) return [{ from, to }];
    }
    return [];
  });
}

function directoriesOf(moves: readonly Moved[]): ReadonlyMap<string, Moved> {
  const directories = moves.filter(({ to }) => to.after?.type === "directory");
  return new Map(directories.map((move) => [move.from.path, move]));
}

/** For each path that moved with a directory above it: the outermost such directory's move. */
function carriersOf(moves: readonly Moved[]): ReadonlyMap<Moved, Moved> {
  const directories = directoriesOf(moves);
  const carriers = new Map<Moved, Moved>();
  for (const move of directories.size > 0 ? moves : []) {
    for (let dir = parentOf(move.from.path); dir !== "/"; dir = parentOf(dir)) {
      const above = directories.get(dir);
      const suffix = move.from.path.slice(dir.length);
      if (above && above.to.path + suffix === move.to.path) carriers.set(move, above);
    }
  }
  return carriers;
}

function changedWhileCarried({ from, to }: Moved): Change | undefined {
  return (
    from.before && to.after && compare({ path: to.path, before: from.before, after: to.after })
  );
}

function renamed({ from, to }: Moved, count: number): Change {
  const before = to.before ?? from.before;
  const { after } = to;
  if (!before || !after) throw new Error("a move has a before and an after");
  const fields = differences(before, after);
  const base = { kind: "renamed" as const, path: to.path, from: from.path, fields, before, after };
  return after.type === "directory" ? { ...base, count } : base;
}

/** A file replaced by renaming a fresh one over it: `via` holds the fresh one's name. */
function withVia(
  change: Change | undefined,
  facts: readonly RenameFact[],
  looks: ReadonlyMap<string, Look>,
): Change | undefined {
  if (change?.kind !== "modified") return change;
  const isReplaced = change.fields.includes("inode") || change.fields.includes("type");
  if (!isReplaced) return change;
  const fact = facts.findLast((one) => one.to === change.path && !looks.get(one.from)?.before);
  if (!fact) return change;
  const named = allFields.filter((one) => one === "inode" || change.fields.includes(one));
  return { ...change, fields: named, via: fact.from };
}

function inodeKey({ dev, ino }: Observation): string {
  return `${dev}/${ino}`;
}

function digestKey({ type, sha256, size }: Observation): string {
  return type === "file" && sha256 !== undefined && size > 0 ? sha256 : "";
}

function push<key>(map: Map<key, Look[]>, key: key, look: Look): void {
  const list = map.get(key);
  if (list) list.push(look);
  else map.set(key, [look]);
}
