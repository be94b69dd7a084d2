import { chmodSync, globSync, lstatSync, lutimesSync } from "node:fs";
import { join } from "node:path";

/**
 * Gives all files below a directory one date, and modes that do not depend on the checkout's umask.
 *
 * @param at seconds since 1970
 * @param programs paths that are made executable, beside those that are
 */
export function datedAs(root: string, at: number, programs: readonly string[]): void {
  for (const file of globSync("**", { cwd: root })) {
    const path = join(root, file);
    const status = lstatSync(path);
    if (status.isSymbolicLink()) continue;
    const isProgram = (status.mode & 0o100) !== 0 || programs.includes(file);
    chmodSync(path, status.isDirectory() || isProgram ? 0o755 : 0o644);
  }
  for (const file of globSync("**", { cwd: root })) lutimesSync(join(root, file), at, at);
}
