import test from "ava";
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "../../src/config/options.ts";
import { lacking, lossOf, mayWrite, needs, standingOf } from "../../src/agent/privileges.ts";
import { capabilityBits } from "../../src/linux/process-capabilities.ts";
import type { CapabilityName } from "../../src/linux/process-capabilities.ts";
import { asNobody, cannotConfine, outOfReach, without, withoutMarks } from "../helpers/confined.ts";
import { makePlace } from "../helpers/tree.ts";
import { needing } from "../helpers/needs.ts";

const names = needs.map(({ name }) => name);
const all = capabilityBits(names);
const allBut = (...lost: readonly CapabilityName[]): bigint => all & ~capabilityBits(lost);

test("nothing is lost with all that is needed, and no more is needed than six capabilities", (t) => {
  t.deepEqual(lacking("auto", all), []);
  t.is(lossOf([]), undefined);
  t.deepEqual(names.toSorted(), [
    "CAP_BPF",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_PERFMON",
    "CAP_SYS_ADMIN",
    "CAP_SYS_PTRACE",
  ]);
});

const losses: readonly (readonly [
  why: string,
  engine: Engine,
  held: bigint,
  lost: readonly CapabilityName[],
])[] = [
  ["SYS_ADMIN alone is missing", "auto", allBut("CAP_SYS_ADMIN"), ["CAP_SYS_ADMIN"]],
  ["SYS_ADMIN contains BPF and PERFMON", "auto", allBut("CAP_BPF", "CAP_PERFMON"), []],
  [
    "nothing contains BPF where SYS_ADMIN is missing too",
    "fanotify",
    allBut("CAP_BPF", "CAP_SYS_ADMIN"),
    ["CAP_SYS_ADMIN", "CAP_BPF"],
  ],
  [
    "chokidar names no process, with BPF or without",
    "chokidar",
    allBut("CAP_BPF", "CAP_PERFMON", "CAP_SYS_ADMIN"),
    ["CAP_SYS_ADMIN"],
  ],
  [
    "reading is lost with every engine",
    "sweep",
    allBut("CAP_DAC_READ_SEARCH"),
    ["CAP_DAC_READ_SEARCH"],
  ],
  ["nothing is there", "auto", 0n, names],
];

test("what is lost is what the engine needs and nothing else gives", (t) => {
  for (const [why, engine, held, lost] of losses)
    t.deepEqual(
      lacking(engine, held).map(({ name }) => name),
      lost,
      why,
    );
});

test("the sentence on what is lost names each capability once with its consequence", (t) => {
  const loss = lossOf(lacking("auto", 0n)) ?? "";
  for (const { name, without: consequence } of needs) {
    t.is(loss.split(`without ${name}:`).length, 2, name);
    t.true(loss.includes(consequence), name);
  }
});

test("each capability is there, contained in another, or missing", (t) => {
  for (const need of needs) {
    t.is(standingOf(need, all), "there", need.name);
    t.is(standingOf(need, 0n), "missing", need.name);
    const standing = need.standIn === undefined ? "missing" : "replaced";
    t.is(standingOf(need, allBut(need.name)), standing, need.name);
  }
});

test("a directory may be written by its owner if its mode says so, and by root no more than by others", (t) => {
  using place = makePlace();
  const directory = place.at("state");
  mkdirSync(directory);
  const cases: readonly (readonly [mode: number, may: boolean])[] = [
    [0o700, true],
    [0o500, false],
    [0o077, false],
    [0o300, true],
  ];
  for (const [mode, may] of cases) {
    chmodSync(directory, mode);
    t.is(mayWrite(directory), may, mode.toString(8));
  }
  if (process.getuid?.() !== 0) return;
  chownSync(directory, 1000, 1000);
  chmodSync(directory, 0o700);
  t.false(mayWrite(directory));
  chmodSync(directory, 0o707);
  t.true(mayWrite(directory));
});

interface Finding {
  readonly what: string;
  readonly ok: boolean;
  readonly detail: string;
}

const launcher = join(import.meta.dirname, "../../bin/fim-agent");
const policy = {
  name: "small",
  description: "For a test",
  rules: [
    { id: "etc", paths: ["/etc/**"], class: "immutable", severity: "high", why: "It is a test." },
  ],
};

/** What `doctor` finds when it is started so. */
function doctor(prefix: readonly string[], state?: string): ReadonlyMap<string, Finding> {
  using place = makePlace();
  mkdirSync(place.at("root/etc"), { recursive: true });
  writeFileSync(place.at("root/etc/hosts"), "127.0.0.1 localhost\n");
  writeFileSync(place.at("policy.json"), JSON.stringify(policy));
  chmodSync(place.dir, 0o755);
  const args = ["--root", place.at("root"), "--state", state ?? place.at("state")];
  const more = ["--policy", place.at("policy.json"), "--format", "json"];
  const [program, ...rest] = [...prefix, launcher, "doctor", ...args, ...more];
  const { status, stdout, stderr } = spawnSync(program ?? "", rest, { cwd: "/", encoding: "utf8" });
  if (status !== 0) throw new Error(`doctor ended with ${status}: ${stderr}`);
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] };
  return new Map(findings.map((one) => [one.what, one]));
}

const reason = cannotConfine(names);

test("doctor states each capability and everything that the kernel allows", (t) => {
  const found = doctor([]);
  for (const { name, why, without: consequence } of needs) {
    const { ok, detail } = found.get(`capability ${name}`) ?? { ok: false, detail: "" };
    t.true(detail.endsWith(ok ? why : consequence), name);
  }
  const others = [
    "privileges",
    "user namespace",
    "processes",
    "engine fanotify",
    "engine chokidar",
    "attribution",
    "tracefs",
    "lockdown",
    "openat2",
    "mounts",
    "inotify",
    "quick sweep",
    "state",
    "memory",
  ];
  for (const what of others) t.true((found.get(what)?.detail ?? "").length > 0, what);
  t.regex(found.get("inotify")?.detail ?? "", /max_user_instances \d+/);
  t.true([...found.keys()].some((what) => what.startsWith("filesystem of ")));
  for (const [what, { detail }] of found)
    if (what !== "kernel") t.notRegex(detail, /Linux \d|\d\.\d+ or newer/, what);
  t.regex(found.get("quick sweep")?.detail ?? "", /within 10 s, \d+ of them every 5 s/);
});

needing(reason)("doctor finds nothing amiss with the privileges of root", (t) => {
  const found = doctor([]);
  for (const name of names) t.like(found.get(`capability ${name}`), { ok: true }, name);
  t.like(found.get("engine fanotify"), { ok: true });
  t.regex(found.get("privileges")?.detail ?? "", /gives up \d+ other capabilities/);
});

for (const { name, standIn, without: consequence } of needs) {
  needing(reason ?? outOfReach(without(name)))(`doctor says what is lost without ${name}`, (t) => {
    const found = doctor(without(name));
    const { ok, detail } = found.get(`capability ${name}`) ?? { ok: undefined, detail: "" };
    t.is(ok, standIn !== undefined);
    t.true(detail.startsWith("missing"));
    t.true(standIn === undefined ? detail.includes(consequence) : detail.includes(standIn));
    for (const other of names.filter((one) => one !== name))
      t.regex(found.get(`capability ${other}`)?.detail ?? "", /^there/, other);
    t.is(found.get("engine fanotify")?.ok, name !== "CAP_SYS_ADMIN");
    if (name === "CAP_SYS_ADMIN")
      t.like(found.get("attribution"), {
        ok: false,
        detail: "mode none: only fanotify gives the process",
      });
  });
}

const seccomp = withoutMarks();
const seccompMissing = reason ?? (seccomp === undefined ? "needs python3" : undefined);

needing(seccompMissing)(
  "doctor says where seccomp refuses marks, and that no process is named then",
  (t) => {
    const found = doctor(seccomp ?? []);
    t.like(found.get("engine fanotify"), { ok: false });
    t.regex(found.get("engine fanotify")?.detail ?? "", /^fanotify_mark: EPERM at \/.* on \w+$/);
    t.like(found.get("attribution"), { ok: false });
  },
);

const nobodyMissing = reason ?? outOfReach(asNobody);

needing(nobodyMissing)(
  "doctor works for a user without any right, and says that fanotify and attribution are lost",
  (t) => {
    const found = doctor(asNobody);
    for (const name of names) t.like(found.get(`capability ${name}`), { ok: false }, name);
    t.like(found.get("engine fanotify"), { ok: false });
    t.like(found.get("attribution"), { ok: false });
    t.like(found.get("engine chokidar"), { ok: true });
    t.like(found.get("openat2"), { ok: true });
  },
);

needing(reason)(
  "doctor knows that watch will not write the state directory of another user, although root could",
  (t) => {
    using place = makePlace();
    const state = place.at("theirs");
    mkdirSync(state, { mode: 0o700 });
    t.like(doctor([], state).get("state"), { ok: true });
    chownSync(state, 1000, 1000);
    const found = doctor([], state).get("state");
    t.like(found, { ok: false });
    t.regex(found?.detail ?? "", /watch cannot write/);
  },
);
