import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import test from "ava";
import { readOperatorFile } from "../../src/policy/operator-file.ts";
import { rootMissing } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";
import { makePlace } from "../helpers/tree.ts";

test("a file that its owner alone may write is read, through a link too", (t) => {
  using place = makePlace();
  writeFileSync(place.at("file"), "name: x\n", { mode: 0o644 });
  symlinkSync(place.at("file"), place.at("link"));
  for (const name of ["file", "link"])
    t.deepEqual(readOperatorFile(place.at(name)), { text: "name: x\n" });
});

test("a FIFO, a directory, a device, a huge or a missing file is refused at once, with its reason", (t) => {
  using place = makePlace();
  spawnSync("mkfifo", [place.at("fifo")]);
  mkdirSync(place.at("dir"));
  writeFileSync(place.at("huge"), Buffer.alloc(1024 * 1024 + 1));
  const kind = "expected a regular file, found something else";
  for (const [name, problem] of [
    [place.at("fifo"), kind],
    [place.at("dir"), kind],
    ["/dev/zero", kind],
    [place.at("huge"), "larger than 1048576 bytes"],
    [place.at("gone"), "no such file"],
  ] as const)
    t.like(readOperatorFile(name), { problem }, name);
});

test("a file that others may write is refused", (t) => {
  using place = makePlace();
  writeFileSync(place.at("file"), "");
  for (const mode of [0o666, 0o664, 0o602]) {
    chmodSync(place.at("file"), mode);
    const problem = `writable by others than its owner (mode 0${mode.toString(8)}): chmod go-w it`;
    t.deepEqual(readOperatorFile(place.at("file")), { problem });
  }
});

needing(rootMissing)("a file of another user is refused", (t) => {
  using place = makePlace();
  writeFileSync(place.at("file"), "");
  chownSync(place.at("file"), 1000, 1000);
  t.deepEqual(readOperatorFile(place.at("file")), {
    problem: "belongs to uid 1000: expected root or the user that runs this",
  });
});
