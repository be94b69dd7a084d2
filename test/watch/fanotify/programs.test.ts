import test from "ava";
import type { FanotifyEvent } from "../../../src/linux/fanotify.ts";
import { Programs } from "../../../src/watch/fanotify/programs.ts";

const sed = { pid: 7, exe: "/usr/bin/sed", executable: { dev: "8:1", ino: "5" } };
const executes: FanotifyEvent = { bits: ["openExec"], isDirectory: false, pid: 7 };
const writes: FanotifyEvent = { bits: ["modify", "closeWrite"], isDirectory: false, pid: 7 };

/** Readings in turn, each begun at its number; whether the last leaves a doubt. */
function isLater(executedAt: number, ...readings: readonly (readonly FanotifyEvent[])[]): boolean {
  const programs = new Programs();
  programs.add(sed.executable);
  for (const [readAt, events] of readings.entries()) programs.take(events, { readAt, at: readAt });
  return programs.isLater({ ...sed, executedAt });
}

test("who executed a program before it wrote has written as that program", (t) => {
  t.false(isLater(-1, [writes]));
  t.false(isLater(0.5, [executes, writes]));
  t.false(isLater(1.5, [executes], [writes]));
});

test("who executed a program after it wrote has not written as that program", (t) => {
  t.true(isLater(-1, [writes, executes]));
  t.true(isLater(0.5, [executes, writes, executes]));
  t.true(isLater(0.5, [writes]));
  t.true(isLater(1.5, [executes, writes], [writes]));
});

test("of a program whose word does not count nothing is known by its execution", (t) => {
  const programs = new Programs();
  programs.take([writes], { readAt: 0, at: 0 });
  t.false(programs.isLater({ ...sed, executedAt: 1 }));
});
