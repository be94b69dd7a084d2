import { realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/**
 * The same place without symbolic links, even if only its beginning exists: events and the mount table use
 * such paths.
 */
export function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const above = dirname(path);
    return above === path ? path : join(realPath(above), basename(path));
  }
}
