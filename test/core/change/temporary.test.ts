import test from "ava";
import type { Change } from "../../../src/core/change/change.ts";
import type { Step } from "../../../src/core/change/hint.ts";
import type { Observation } from "../../../src/core/change/observation.ts";
import { copiedFile } from "../../../src/core/change/temporary.ts";
import { file } from "../../helpers/disk.ts";

const good = file("good", { mode: 0o644 });
const approved = (path: string) => (path === "/etc/pam.d/cron" ? good : undefined);
const made = (
  path: string,
  after: Observation = { ...good, ino: "77", mtime: "later" },
): Change => ({
  kind: "created",
  path,
  after,
});

test("a copy of an approved file under a temporary name of dpkg, rpm or an editor is recognised", (t) => {
  for (const name of ["cron.dpkg-new", "cron.dpkg-tmp", "cron;5f3c9a10", "cron~"]) {
    const path = `/etc/pam.d/${name}`;
    t.is(copiedFile(made(path), approved), "/etc/pam.d/cron", name);
    t.is(copiedFile({ kind: "deleted", path, before: good }, approved), "/etc/pam.d/cron", name);
  }
});

test("an attribute that such a copy had already changes nothing", (t) => {
  const path = "/etc/pam.d/cron.dpkg-new";
  const set = (steps: readonly Step[], before?: Observation): Change => ({
    kind: "transient",
    path,
    steps,
    ...(before && { before }),
  });
  t.is(copiedFile(set(["attributes"], good), approved), "/etc/pam.d/cron");
  t.is(copiedFile(set(["attributes"], { ...good, sha256: "evil" }), approved), undefined);
  t.is(copiedFile(set(["modified", "attributes"], good), approved), undefined);
  t.is(copiedFile(set(["attributes"]), approved), undefined);
});

test("a stranger gains nothing by such a name: another content, mode or owner is no copy", (t) => {
  const path = "/etc/pam.d/cron.dpkg-new";
  for (const more of [{ sha256: "evil" }, { mode: 0o4755 }, { uid: 7 }])
    t.is(copiedFile(made(path, { ...good, ...more }), approved), undefined, JSON.stringify(more));
  const { sha256: _, ...unread } = good;
  t.is(copiedFile(made(path, unread), approved), undefined);
});

test("a copy of a program with rights of its own is none: it outlives the update of the program", (t) => {
  const path = "/etc/pam.d/cron.dpkg-new";
  for (const more of [
    { mode: 0o4755 },
    { mode: 0o2755 },
    { capabilities: "AQAAAgAAAAAAAAAAAAAAAAAAAAA=" },
  ]) {
    const program = { ...good, ...more };
    const held = (name: string) => (name === "/etc/pam.d/cron" ? program : undefined);
    t.is(copiedFile(made(path, program), held), undefined, JSON.stringify(more));
  }
});

test("a copy under any other name, or of a file that was never approved, is none", (t) => {
  for (const path of ["/etc/pam.d/other", "/etc/pam.d/cron.dpkg-dist", "/etc/pam.d/new.dpkg-new"])
    t.is(copiedFile(made(path), approved), undefined, path);
  t.is(
    copiedFile(made("/etc/pam.d/cron.dpkg-new"), () => good),
    undefined,
  );
});
