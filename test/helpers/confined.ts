import { spawnSync } from "node:child_process";
import { hasCapability } from "../../src/linux/caps.ts";
import type { CapabilityName } from "../../src/linux/caps.ts";
import { readPrivileges } from "../../src/linux/privileges.ts";

/** Why no process with fewer privileges can be made here, or undefined: it can. */
export function cannotConfine(needed: readonly CapabilityName[]): string | undefined {
  if (process.getuid?.() !== 0) return "needs root: privileges are taken away";
  const { effective } = readPrivileges();
  const missing = needed.filter((name) => !hasCapability(effective, name));
  if (missing.length > 0) return `needs ${missing.join(", ")} to take away`;
  const { stdout } = spawnSync("setpriv", ["--version"], { encoding: "utf8" });
  return stdout?.includes("util-linux") ? undefined : "needs setpriv of util-linux";
}

/** "CAP_SYS_ADMIN" -> what starts a program without it. */
export function without(...names: readonly string[]): readonly string[] {
  const list = names.map((name) => `-${name.toLowerCase().replace("cap_", "")}`);
  return names.length === 0 ? [] : ["setpriv", `--bounding-set=${list.join(",")}`];
}

/** Why a program of this repository cannot be started so, or undefined: it can. */
export function outOfReach(prefix: readonly string[]): string | undefined {
  const [program, ...rest] = [...prefix, "test", "-r", import.meta.filename];
  const { status } = spawnSync(program ?? "", rest, { cwd: "/" });
  return status === 0 ? undefined : "needs a checkout that every user can read";
}

/** What starts a program as a user without any right. */
export const asNobody = [
  "setpriv",
  "--reuid=65534",
  "--regid=65534",
  "--clear-groups",
  "--inh-caps=-all",
  "--bounding-set=-all",
] as const;

/** What starts a program as another user who holds these. */
export function asUserWith(...names: readonly string[]): readonly string[] {
  const list = names.map((name) => `+${name.toLowerCase().replace("cap_", "")}`).join(",");
  return [...asNobody.slice(0, 4), `--inh-caps=${list}`, `--ambient-caps=${list}`];
}
