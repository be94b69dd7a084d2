import type { Observation } from "../core/change/observation.ts";
import type { HashPool } from "../observe/hash/pool.ts";
import { wantOf } from "./look.ts";
import type { NodeView, Want } from "./look.ts";
import { hugeBytes, largeBytes } from "../core/size-class.ts";
import type { Gauge, Lane } from "./large-files.ts";

/** What happens to a file that is too large for a lane. */
interface Leaving {
  /** Another lane hashes it. */
  readonly isAwaited: (path: string) => boolean;
  /** Hands the file to another lane. `isReported`: its hints are used up now, for a report without a digest. */
  readonly leave: (path: string, size: number, isReported: boolean) => void;
}

/** How often to look again at a path that meanwhile named another file. */
const maxLooks = 3;

/** Finds the hints that must wait for a large file. */
export function gaugeOf(view: NodeView): Gauge {
  return {
    large: (path) => {
      const seen = view.observer.observe(path, { hash: false });
      if (seen?.type !== "file" || seen.size <= largeBytes) return undefined;
      const rule = isPlain(path, seen, view) ? undefined : view.index.find(path)?.rule;
      return rule && wantOf(path, rule, view).hash ? seen : undefined;
    },
    namesOf: ({ dev, ino }) => view.known.findByInode(dev, ino),
  };
}

/**
 * The same view, but it hashes no file that is too large for the lane. Until another lane has hashed the file, the
 * last observation stands. A new or plainly different file is reported without a digest, or with the digest that its
 * inode had.
 */
export function viewIn(
  { pool, limit }: Lane,
  view: NodeView,
  { isAwaited, leave }: Leaving,
): NodeView {
  const { known } = view;
  const isTooLarge = (seen: Observation | undefined): seen is Observation =>
    seen?.type === "file" && seen.size > limit && seen.unreadable === undefined;
  const observeLarge: NodeView["observeLarge"] = async (path, want, found) => {
    let seen: Observation | undefined = found;
    if (!isTooLarge(seen)) seen = await observeLong({ path, ...want, maxBytes: limit }, pool, view);
    if (!isTooLarge(seen)) return seen;
    const before = known.get(path);
    if (isAwaited(path)) return before;
    const isReported = !before || isPlain(path, seen, view);
    leave(path, seen.size, isReported);
    if (!isReported) return before;
    return before ? seen : remembered(seen, known);
  };
  return { ...view, observeLarge };
}

/** A huge file that appeared or plainly changed can be reported before its digest is known. */
function isPlain(path: string, seen: Observation, { index, known }: NodeView): boolean {
  const before = known.get(path);
  if (seen.size <= hugeBytes) return false;
  return !before || (before.size !== seen.size && index.find(path)?.rule.class === "immutable");
}

/** Hashing may take hours: the path must still name the file that was read. */
async function observeLong(
  { path, ...want }: Want & { readonly path: string },
  pool: HashPool,
  { observer }: NodeView,
): Promise<Observation | undefined> {
  for (let look = 1; ; look += 1) {
    const seen = await pool.observeOne(path, want);
    const now = observer.observe(path, { hash: false });
    if (!now || look === maxLooks) return now && seen;
    if (now.ino === seen?.ino && now.dev === seen.dev) return seen;
  }
}

/** With the digest that its inode had under another name, unless it was written since. */
function remembered(seen: Observation, known: NodeView["known"]): Observation {
  const former = known
    .findByInode(seen.dev, seen.ino)
    .map((name) => known.get(name))
    .find((one) => one?.size === seen.size && one.mtime === seen.mtime);
  return former?.sha256 === undefined ? seen : { ...seen, sha256: former.sha256 };
}
