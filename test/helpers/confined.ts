import { spawnSync } from "node:child_process";
import { hasCapability } from "../../src/linux/process-capabilities.ts";
import type { CapabilityName } from "../../src/linux/process-capabilities.ts";
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

/** fanotify_mark(2) by machine (asm/unistd.h). */
const markNumbers: Readonly<Record<string, number>> = { x64: 301, arm64: 263 };

/** seccomp(2): BPF that refuses one system call with EPERM and lets all others through. */
const refuse = `
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
number = int(sys.argv[1])
rules = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
class Program(ctypes.Structure):
  _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
program = Program(len(rules), ctypes.addressof(code))
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
  sys.exit(os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[2], sys.argv[2:])
`;

/** What starts a program to which seccomp refuses marks; undefined: not on this machine. */
export function withoutMarks(): readonly string[] | undefined {
  const number = markNumbers[process.arch];
  if (number === undefined) return undefined;
  const prefix = ["python3", "-c", refuse, String(number)];
  return spawnSync("python3", [...prefix.slice(1), "true"]).status === 0 ? prefix : undefined;
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
