import type { Observation } from "../core/change/observation.ts";
import type { HashPool } from "../observe/hash/pool.ts";
import { wantOf } from "./look.ts";
import type { NodeView, Want } from "./look.ts";
import { hugeBytes, largeBytes } from "./large-files.ts";
import type { Gauge, Lane } from "./large-files.ts";

/** What becomes of a file that is too large for a lane. */
export interface Leaving {
  /** Somebody else hashes it. */
  readonly isAwaited: (path: string) => boolean;
  /** It is to be hashed in another lane. `isTold`: what was hinted of it is told now, without its digest. */
  readonly leave: (path: string, size: number, isTold: boolean) => void;
}

/** Times that a path is looked at again which meanwhile named another file. */
const maxLooks = 3;

/** Which hints have to wait for a large file, as these view see it. */
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
 * The same view, but they hash no file that is too large for the lane. What is known of its path stands until it is
 * hashed; but where nothing was known, or plainly something else, it is a file without a digest, or with that which
 * its inode had.
 */
export function viewIn(
  { pool, limit }: Lane,
  view: NodeView,
  { isAwaited, leave }: Leaving,
): NodeView {
  const { known, observer } = view;
  const isTooLarge = (seen: Observation | undefined): seen is Observation =>
    seen?.type === "file" && seen.size > limit && seen.unreadable === undefined;
  const observeLarge = async (path: string, want: Want): Promise<Observation | undefined> => {
    let seen = observer.observe(path, { hash: false });
    if (!isTooLarge(seen)) seen = await observeLong({ path, ...want, maxBytes: limit }, pool, view);
    if (!isTooLarge(seen)) return seen;
    const before = known.get(path);
    if (isAwaited(path)) return before;
    const isTold = !before || isPlain(path, seen, view);
    leave(path, seen.size, isTold);
    if (!isTold) return before;
    return before ? seen : remembered(seen, known);
  };
  return { ...view, observeLarge };
}

/** That a huge file came, or is another than was known, can be told before its digest is known. */
function isPlain(path: string, seen: Observation, { index, known }: NodeView): boolean {
  const before = known.get(path);
  if (seen.size <= hugeBytes) return false;
  return !before || (before.size !== seen.size && index.find(path)?.rule.class === "immutable");
}

/** It may take hours: what was read must still be what the path names. */
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
