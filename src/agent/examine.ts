import { findMountTable } from "../watch/mounts.ts";
import { startChokidar } from "../watch/chokidar.ts";

export interface Examined {
  readonly what: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** What the kernel and our privileges allow here, each with what is lost without it. */
export function examine(root: string): readonly Examined[] {
  const stop = new AbortController();
  const nothing = { find: () => undefined, mayMatchBelow: () => false, roots: [] };
  const engine = startChokidar({
    root,
    index: nothing,
    directories: () => [],
    signal: stop.signal,
    now: Date.now,
  });
  stop.abort();
  return [
    { what: "engine chokidar", ok: true, detail: `cannot see: ${engine.blind.join("; ")}` },
    { what: "mounts", ok: true, detail: `read from ${findMountTable(root).file}` },
  ];
}
