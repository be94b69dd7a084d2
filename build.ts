import { spawnSync } from "node:child_process";
import { cpSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";

/*
 * Builds dist/ (or the directory given): compiles src/, copies the files beside it that the programs read, compiles
 * the shipped policies. `baselines/` must lie beside the target.
 */

const home = import.meta.dirname;
const target = process.argv[2] ?? join(home, "dist");
const isAsset = /\.(?:sql|html|css|js|svg|ico|woff2)$/;

rmSync(target, { recursive: true, force: true });
run(join(home, "node_modules/typescript/bin/tsc"), [
  "-p",
  join(home, "tsconfig.build.json"),
  "--outDir",
  target,
]);
cpSync(join(home, "src"), target, {
  recursive: true,
  filter: (file) => statSync(file).isDirectory() || isAsset.test(file),
});
run(join(target, "policy/compile.js"), []);

function run(program: string, args: readonly string[]): void {
  const { status } = spawnSync(process.execPath, [program, ...args], { stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}
