import { isBelow, joinPath } from "../core/path.ts";
import type { Rule, RuleIndex } from "../core/policy/rule.ts";
import type { Entry } from "../linux/files.ts";
import type { Observer } from "./observer.ts";

/** A finding of a walk. */
export type Found =
  /** The listing had this name, and this rule matches it. */
  | { readonly kind: "path"; readonly path: string; readonly rule: Rule }
  /** The directory could not be listed: the walk is incomplete. */
  | { readonly kind: "unlisted"; readonly path: string; readonly errno: string };

export interface Where {
  /** Walk this path and everything below it, instead of all the rules' roots. */
  readonly from?: string;
  /** Skip these directories: the agent's own state. */
  readonly skip?: readonly string[];
}

/**
 * Every watched path, a directory before its entries. Symbolic links are found, not followed. Skips what vanishes
 * meanwhile, reports what cannot be listed.
 */
export function* walk(observer: Observer, index: RuleIndex, where: Where = {}): Generator<Found> {
  const roots = where.from === undefined ? index.roots : [where.from];
  const skip = where.skip ?? [];
  const isSkipped = (path: string): boolean =>
    skip.some((dir) => path === dir || isBelow(path, dir));
  const directories: string[] = [];
  for (const root of roots) {
    const seen = isSkipped(root) ? undefined : observer.observe(root, { hash: false });
    if (!seen) continue;
    yield* match(index, root);
    if (seen.type === "directory") directories.push(root);
    for (let dir = directories.pop(); dir !== undefined; dir = directories.pop()) {
      if (!index.mayMatchBelow(dir)) continue;
      const listing = observer.list(dir);
      if (listing?.unreadable !== undefined)
        yield { kind: "unlisted", path: dir, errno: listing.unreadable };
      for (const entry of listing?.entries ?? []) {
        const path = joinPath(dir, entry.name);
        if (isSkipped(path)) continue;
        yield* match(index, path);
        if (isDirectory(observer, path, entry)) directories.push(path);
      }
    }
  }
}

function* match(index: RuleIndex, path: string): Generator<Found> {
  const found = index.find(path);
  if (found) yield { kind: "path", path, rule: found.rule };
}

function isDirectory(observer: Observer, path: string, entry: Entry): boolean {
  if (entry.kind !== "unknown") return entry.kind === "directory";
  return observer.observe(path, { hash: false })?.type === "directory";
}
