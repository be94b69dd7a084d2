import type { Observation } from "../core/change/observation.ts";
import type { HashPool } from "../observe/hash/pool.ts";
import { walk } from "../observe/walk.ts";
import { Links, wantOf } from "./look.ts";
import type { NodeView, Want } from "./look.ts";
import type { Rows } from "../baseline/rows.ts";
import type { Node } from "../node/node.ts";

/** How far a sweep has come. */
export interface Progress {
  readonly files: number;
  readonly bytes: number;
}

/** A path that could not be observed, which makes the sweep incomplete. */
export interface Unseen {
  readonly path: string;
  readonly errno: string;
}

interface Pass {
  readonly node: Node;
  readonly pool: HashPool;
  /** Last observations, which decide what to read of a file. */
  readonly known: NodeView["known"];
  /** Only this path and everything below it. */
  readonly from?: string;
  readonly onRows: (rows: readonly (readonly [path: string, row: string])[]) => void;
  readonly onProgress?: (progress: Progress) => void;
  readonly bytesPerSecond?: number;
  readonly signal?: AbortSignal;
}

/**
 * Observes every watched path once, with hashes. Yields rows as they come, so that memory does not grow with their
 * number.
 */
export async function pass(run: Pass): Promise<readonly Unseen[]> {
  const unseen: Unseen[] = [];
  const view = makeNodeView(run.node, run);
  function* items(): Generator<{ path: string; want: Want }> {
    const where = run.from === undefined ? {} : { from: run.from };
    for (const found of walk(run.node.observer, run.node.index, where)) {
      if (found.kind === "path")
        yield { path: found.path, want: wantOf(found.path, found.rule, view) };
      else unseen.push({ path: found.path, errno: found.errno });
    }
  }
  await run.pool.observeAll(
    items(),
    (results) => {
      const rows: (readonly [string, string])[] = [];
      for (const { path, row, unreadable } of results) {
        if (row !== undefined) rows.push([path, row]);
        if (unreadable !== undefined) unseen.push({ path, errno: unreadable });
      }
      run.onRows(rows);
    },
    {
      ...(run.onProgress && { onProgress: run.onProgress }),
      ...(run.bytesPerSecond !== undefined && { bytesPerSecond: run.bytesPerSecond }),
      ...(run.signal && { signal: run.signal }),
    },
  );
  return unseen;
}

/** Paths whose row differs from the last one, paths that are gone, and paths that could not be observed. */
export async function differing(
  run: Omit<Pass, "onRows">,
  known: Rows,
): Promise<{ readonly paths: readonly string[]; readonly unseen: readonly Unseen[] }> {
  const paths: string[] = [];
  let met = 0;
  const unseen = await pass({
    ...run,
    onRows: (rows) => {
      for (const [path, row] of rows) {
        const isSame = known.holds(path, row);
        if (isSame !== undefined) met += 1;
        if (isSame !== true) paths.push(path);
      }
    },
  });
  // A sweep meets each path once: as many met as known means that none is gone.
  if (run.from === undefined && met === known.count()) return { paths, unseen };
  // Deleted paths come last: a missing name may be the old one of a rename.
  const links = new Links(run.node);
  for (const path of known.paths(run.from)) {
    if (!run.node.index.find(path)) continue;
    const isThere = !links.hide(path) && run.node.observer.observe(path, { hash: false });
    if (!isThere) paths.push(path);
  }
  return { paths, unseen };
}

/** A file that should not change was written while it was read: its digest may be of no state that it ever had. */
export function unrest(node: Node, path: string, seen: Observation): readonly Unseen[] {
  const kind = node.index.find(path)?.rule.class;
  const shouldRest = kind === "immutable" || kind === "rotates";
  return seen.unstable && shouldRest ? [{ path, errno: "changes while it is read" }] : [];
}

/** The view through which the reconcile stage looks at single paths. */
export function makeNodeView(
  node: Node,
  parts: { readonly known: NodeView["known"]; readonly pool: HashPool },
): NodeView {
  const { observer, index } = node;
  return {
    index,
    observer: {
      observe: (path, want) => observer.observe(path, want),
      list: (dir) => observer.list(dir)?.entries,
    },
    observeLarge: (path, want) => parts.pool.observeOne(path, want),
    known: parts.known,
    walk: function* (dir) {
      for (const found of walk(observer, index, { from: dir }))
        if (found.kind === "path") yield found;
    },
  };
}
