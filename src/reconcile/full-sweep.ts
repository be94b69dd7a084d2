import type { Observation } from "../core/change/observation.ts";
import type { HashPool } from "../observe/hash/pool.ts";
import { walk } from "../observe/walk.ts";
import { Links, wantOf } from "./look.ts";
import type { NodeView, Want } from "./look.ts";
import type { Rows } from "../baseline/rows.ts";
import type { Node } from "../node/node.ts";

/** How far a pass has come. */
export interface Progress {
  readonly files: number;
  readonly bytes: number;
}

/** Something that could not be looked at: the pass is incomplete. */
export interface Unseen {
  readonly path: string;
  readonly errno: string;
}

export interface Pass {
  readonly node: Node;
  readonly pool: HashPool;
  /** Paths that decide what is read of a file: those already known. */
  readonly known: NodeView["known"];
  /** Only this path and what is below it. */
  readonly from?: string;
  readonly onRows: (rows: readonly (readonly [path: string, row: string])[]) => void;
  readonly onProgress?: (progress: Progress) => void;
  readonly bytesPerSecond?: number;
  readonly signal?: AbortSignal;
}

/** Looks at every watched path once, hashing. Rows come as they are made; memory does not grow with their number. */
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

/** Paths whose row is not the known one, and known ones that are gone; and what could not be looked at. */
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
  // A pass comes upon each path once: as many met as known means that none is gone.
  if (run.from === undefined && met === known.count()) return { paths, unseen };
  // After what is there: a name that is gone may be the old one of a rename.
  const links = new Links(run.node);
  for (const path of known.paths(run.from)) {
    if (!run.node.index.find(path)) continue;
    const isThere = !links.hide(path) && run.node.observer.observe(path, { hash: false });
    if (!isThere) paths.push(path);
  }
  return { paths, unseen };
}

/** Of a file that should rest and was written again and again while it was read: its digest may be of no state it ever had. */
export function unrest(node: Node, path: string, seen: Observation): readonly Unseen[] {
  const kind = node.index.find(path)?.rule.class;
  const shouldRest = kind === "immutable" || kind === "rotates";
  return seen.unstable && shouldRest ? [{ path, errno: "changes while it is read" }] : [];
}

/** The parts with which single paths are looked at. */
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
