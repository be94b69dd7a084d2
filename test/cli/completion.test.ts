import test from "ava";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const bin = join(import.meta.dirname, "../../bin");

function scriptOf(program: string, shell: string): string {
  const { stdout, stderr, status } = spawnSync(join(bin, program), ["completion", shell], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

/** The words that bash offers for the last of these. */
function offered(program: string, ...words: readonly string[]): readonly string[] {
  const name = `_${program.replace("-", "_")}`;
  const script = `${scriptOf(program, "bash")}
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); ${name}; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr, status } = spawnSync("bash", ["-ec", script, "bash", program, ...words], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(stderr);
  return stdout.split("\n").slice(0, -1);
}

test("bash completes commands, their options and the values of options", (t) => {
  t.deepEqual(offered("fim-agent", "ch"), ["check"]);
  t.deepEqual(offered("fim-agent", "policy", "l"), ["lint"]);
  t.deepEqual(offered("fim-agent", "check", "--min-severity", "c"), ["critical"]);
  t.deepEqual(offered("fim-agent", "--engine", "fan"), ["fanotify"]);
  t.deepEqual(offered("fim-agent", "check", "--al"), ["--all"]);
  t.deepEqual(offered("fim-collector", "user", "a"), ["add"]);
  t.true(offered("fim-agent", "check", "--config", "/etc/host").includes("/etc/hosts"));
});

for (const [shell, start] of [
  ["zsh", "#compdef fim-agent"],
  ["fish", "# fish completion of fim-agent"],
] as const)
  test(`${shell} has a script of its own`, (t) => {
    const script = scriptOf("fim-agent", shell);
    t.true(script.startsWith(start));
    t.regex(script, /min-severity/);
    const dir = mkdtempSync(join(tmpdir(), "fim-completion-"));
    t.teardown(() => rmSync(dir, { recursive: true }));
    const file = join(dir, "script");
    writeFileSync(file, script);
    const { error, status, stderr } = spawnSync(shell, ["-n", file], { encoding: "utf8" });
    // Without the shell its syntax is not checked.
    if (!error) t.is(status, 0, stderr);
  });

test("another shell is refused", (t) => {
  const args = ["completion", "tcsh"];
  const { status, stderr } = spawnSync(join(bin, "fim-agent"), args, { encoding: "utf8" });
  t.is(status, 2);
  t.regex(stderr, /bash.*zsh.*fish/);
});
