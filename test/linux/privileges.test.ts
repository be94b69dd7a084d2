import test from "ava";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { capabilityBits } from "../../src/linux/process-capabilities.ts";
import { excessOf, isLimited, readPrivileges } from "../../src/linux/privileges.ts";
import type { Privileges } from "../../src/linux/privileges.ts";
import { asNobody, asUserWith, cannotConfine, outOfReach, without } from "../helpers/confined.ts";
import { needing } from "../helpers/needs.ts";

const source = join(import.meta.dirname, "../../src/linux/privileges.ts");
const setpcap = capabilityBits(["CAP_SETPCAP"]);
const admin = capabilityBits(["CAP_SYS_ADMIN"]);
const bpf = capabilityBits(["CAP_BPF"]);

/** The lines of proc_pid_status(5) that are of privileges. */
function parseStatus(text: string): Privileges {
  const set = (name: string): bigint =>
    BigInt(`0x${new RegExp(String.raw`^${name}:\s*([0-9a-f]+)$`, "m").exec(text)?.[1]}`);
  return {
    effective: set("CapEff"),
    permitted: set("CapPrm"),
    inheritable: set("CapInh"),
    bounding: set("CapBnd"),
    ambient: set("CapAmb"),
    gainsNothing: set("NoNewPrivs") === 1n,
  };
}

test("the privileges that are read are those of /proc/thread-self/status", (t) => {
  t.deepEqual(readPrivileges(), parseStatus(readFileSync("/proc/thread-self/status", "utf8")));
});

const nothing: Privileges = {
  effective: 0n,
  permitted: 0n,
  inheritable: 0n,
  bounding: 0n,
  ambient: 0n,
  gainsNothing: true,
};

const judged: readonly (readonly [why: string, now: Privileges, excess: bigint, ok: boolean])[] = [
  ["nothing at all", nothing, 0n, true],
  ["what may be kept", { ...nothing, effective: admin, permitted: admin }, 0n, true],
  ["no_new_privs is not set", { ...nothing, gainsNothing: false }, 0n, false],
  ["more is effective", { ...nothing, effective: admin | bpf }, bpf, false],
  ["more is permitted", { ...nothing, permitted: bpf }, bpf, false],
  ["more is inheritable", { ...nothing, inheritable: bpf }, bpf, false],
  ["more is ambient", { ...nothing, ambient: bpf }, bpf, false],
  ["a bounding set that no process can use", { ...nothing, bounding: bpf }, 0n, true],
  [
    "a bounding set that can be reduced",
    { ...nothing, effective: setpcap, bounding: bpf | admin },
    setpcap | bpf,
    false,
  ],
];

test("only what may be kept is no excess", (t) => {
  for (const [why, now, excess, ok] of judged) {
    t.is(excessOf(now, admin), excess, why);
    t.is(isLimited(now, admin), ok, why);
  }
});

/** Limits a process of its own, then what it executes says what it has. */
function limited(prefix: readonly string[]): {
  readonly own: Privileges;
  readonly next: Privileges;
} {
  const script = `
    const { limitPrivileges } = await import(${JSON.stringify(source)});
    const { readFileSync } = await import("node:fs");
    limitPrivileges(${admin | bpf}n);
    process.stdout.write(readFileSync("/proc/thread-self/status", "utf8") + "\\f");
    process.execve("/bin/cat", ["cat", "/proc/self/status"], process.env);`;
  const args = ["--no-warnings", "--input-type=module", "-e", script];
  const [program, ...rest] = [...prefix, process.execPath, ...args];
  const { stdout, stderr } = spawnSync(program ?? "", rest, { cwd: tmpdir(), encoding: "utf8" });
  const [own, next] = stdout.split("\f");
  if (own === undefined || next === undefined) throw new Error(stderr);
  return { own: parseStatus(own), next: parseStatus(next) };
}

const reason = cannotConfine(["CAP_SETPCAP", "CAP_SYS_ADMIN", "CAP_BPF"]);

const starts: readonly (readonly [who: string, prefix: readonly string[], kept: bigint])[] = [
  ["root", [], admin | bpf],
  ["root that lacks one of them", without("CAP_BPF"), admin],
  ["root that cannot reduce the bounding set", without("CAP_SETPCAP"), admin | bpf],
  [
    "root to whom user id 0 means nothing",
    [
      "setpriv",
      "--inh-caps=+sys_admin,+kill",
      "--ambient-caps=+sys_admin,+kill",
      "--securebits=+noroot",
    ],
    admin,
  ],
  ["another user with ambient capabilities", asUserWith("CAP_BPF", "CAP_CHOWN"), bpf],
  ["another user with none", asNobody, 0n],
];

for (const [who, prefix, kept] of starts) {
  const declare = needing(reason ?? outOfReach(prefix));
  declare(`${who} keeps what may be kept, and a program it executes has the same`, (t) => {
    const { own, next } = limited(prefix);
    t.true(isLimited(own, admin | bpf));
    t.is(own.effective, kept);
    t.is(own.permitted, kept);
    t.true(isLimited(next, admin | bpf));
    t.is(next.effective, kept);
    t.is(next.permitted, kept);
  });
}

needing(reason)(
  "the bounding set is reduced to what may be kept where the kernel lets it be",
  (t) => {
    t.is(limited([]).next.bounding, admin | bpf);
  },
);
