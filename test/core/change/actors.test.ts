import test from "ava";
import { atMost } from "../../../src/core/change/actors.ts";
import type { Actor } from "../../../src/core/change/hint.ts";

const sed = { exe: "/usr/bin/sed", executable: { dev: "8:1", ino: "7" }, cgroup: "/" };

test("up to the limit every process is kept", (t) => {
  const actors = [
    { pid: 1, ...sed },
    { pid: 2, ...sed },
  ];
  t.is(atMost(actors, 2), actors);
});

test("beyond it the last of every program is kept, and of one program in every place", (t) => {
  const container = { id: "a".repeat(64) };
  const evil: Actor = { pid: 1, ...sed, executable: { dev: "8:1", ino: "8" } };
  const contained: Actor = { pid: 2, ...sed, container };
  const placeless: Actor = { pid: 3, exe: sed.exe, executable: sed.executable };
  const many = Array.from({ length: 100 }, (_, at): Actor => ({ pid: 10 + at, ...sed }));
  t.deepEqual(atMost([evil, contained, placeless, ...many], 10), [
    evil,
    contained,
    placeless,
    { pid: 109, ...sed },
  ]);
});
