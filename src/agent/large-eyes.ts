import type { Observation } from "../core/observation.ts";
import type { HashPool } from "../observe/pool.ts";
import { wantOf } from "../reconcile/look.ts";
import type { Eyes, Want } from "../reconcile/look.ts";
import { hugeBytes, largeBytes } from "./large.ts";
import type { Gauge, Lane } from "./large.ts";

/** What becomes of a file that is too large for a lane. */
export interface Leaving {
  /** Somebody else hashes it. */
  readonly isAwaited: (path: string) => boolean;
  /** It is to be hashed in another lane. `isTold`: what was hinted of it is told now, without its digest. */
  readonly leave: (path: string, size: number, isTold: boolean) => void;
}

/** Times that a path is looked at again which meanwhile named another file. */
const maxLooks = 3;

/** Which hints have to wait for a large file, as these eyes see it. */
export function gaugeOf(eyes: Eyes): Gauge {
  return {
    large: (path) => {
      const seen = eyes.observer.observe(path, { hash: false });
      if (seen?.type !== "file" || seen.size <= largeBytes) return undefined;
      const rule = isPlain(path, seen, eyes) ? undefined : eyes.index.find(path)?.rule;
      return rule && wantOf(path, rule, eyes).hash ? seen : undefined;
    },
    namesOf: ({ dev, ino }) => eyes.known.findByInode(dev, ino),
  };
}

/**
 * The same eyes, but they hash no file that is too large for the lane. What is known of its path stands until it is
 * hashed; but where nothing was known, or plainly something else, it is a file without a digest, or with that which
 * its inode had.
 */
export function eyesIn({ pool, limit }: Lane, eyes: Eyes, { isAwaited, leave }: Leaving): Eyes {
  const { known, observer } = eyes;
  const isTooLarge = (seen: Observation | undefined): seen is Observation =>
    seen?.type === "file" && seen.size > limit && seen.unreadable === undefined;
  const observeLarge = async (path: string, want: Want): Promise<Observation | undefined> => {
    let seen = observer.observe(path, { hash: false });
    if (!isTooLarge(seen)) seen = await observeLong({ path, ...want, maxBytes: limit }, pool, eyes);
    if (!isTooLarge(seen)) return seen;
    const before = known.get(path);
    if (isAwaited(path)) return before;
    const isTold = !before || isPlain(path, seen, eyes);
    leave(path, seen.size, isTold);
    if (!isTold) return before;
    return before ? seen : remembered(seen, known);
  };
  return { ...eyes, observeLarge };
}

/** That a huge file came, or is another than was known, can be told before its digest is known. */
function isPlain(path: string, seen: Observation, { index, known }: Eyes): boolean {
  const before = known.get(path);
  if (seen.size <= hugeBytes) return false;
  return !before || (before.size !== seen.size && index.find(path)?.rule.class === "immutable");
}

/** It may take hours: what was read must still be what the path names. */
async function observeLong(
  { path, ...want }: Want & { readonly path: string },
  pool: HashPool,
  { observer }: Eyes,
): Promise<Observation | undefined> {
  for (let look = 1; ; look += 1) {
    const seen = await pool.observeOne(path, want);
    const now = observer.observe(path, { hash: false });
    if (!now || look === maxLooks) return now && seen;
    if (now.ino === seen?.ino && now.dev === seen.dev) return seen;
  }
}

/** With the digest that its inode had under another name, unless it was written since. */
function remembered(seen: Observation, known: Eyes["known"]): Observation {
  const former = known
    .findByInode(seen.dev, seen.ino)
    .map((name) => known.get(name))
    .find((one) => one?.size === seen.size && one.mtime === seen.mtime);
  return former?.sha256 === undefined ? seen : { ...seen, sha256: former.sha256 };
}
