import { realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/**
 * The same place without a symbolic link on the way, of which perhaps only the beginning is there: events and the mount
 * table name places so.
 */
export function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const above = dirname(path);
    return above === path ? path : join(realPath(above), basename(path));
  }
}
