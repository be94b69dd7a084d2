import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { missingProgram } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";

const source = join(import.meta.dirname, "../../src/linux/limits.ts");
const code = `const { raiseLockedMemory } = await import(${JSON.stringify(source)});
  const limit = raiseLockedMemory();
  const { readFileSync } = await import("node:fs");
  const line = readFileSync("/proc/self/limits", "utf8").match(/Max locked memory.*/)[0];
  console.log(String(limit), line.split(/\\s+/)[3]);`;

/** What the limit is, and what the kernel says, after the process was started with these. */
function raised(...limits: readonly string[]): readonly string[] {
  const args = [...limits, process.execPath, "--input-type=module", "-e", code];
  const { stdout } = spawnSync("prlimit", args, { encoding: "utf8" });
  return stdout.trim().split(" ");
}

needing(missingProgram("prlimit"))(
  "the limit of locked memory is raised as far as it may be",
  (t) => {
    const [limit, soft] = raised("--memlock=65536:131072");
    t.is(soft, limit === "undefined" ? "unlimited" : "131072");
    if (limit !== "undefined") t.is(limit, "131072");
  },
);
