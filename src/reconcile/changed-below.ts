import { hasMoved } from "./look.ts";
import type { NodeView } from "./look.ts";

/** Paths below a directory whose inode differs from what was last seen. Reads no content. */
export async function* scan(dir: string, view: NodeView): AsyncIterable<string> {
  const present = new Set<string>();
  let count = 0;
  for (const { path } of view.walk(dir)) {
    present.add(path);
    if (hasMoved(path, view)) yield path;
    count += 1;
    if (count % 500 === 0) await new Promise(setImmediate);
  }
  const gone = [...view.known.below(dir)].map(({ path }) => path);
  for (const path of [dir, ...gone]) if (!present.has(path) && view.known.get(path)) yield path;
}
