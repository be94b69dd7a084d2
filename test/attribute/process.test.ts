import { spawn } from "node:child_process";
import { readlinkSync, statSync } from "node:fs";
import test from "ava";
import { parseCmdline, parseStat, parseUid, readProcess } from "../../src/attribute/process.ts";
import { makeZombie } from "./zombie.ts";

test("our own process is reported as it is", (t) => {
  const own = readProcess("/proc", process.pid);
  t.is(own?.exe, readlinkSync("/proc/self/exe"));
  t.is(own?.executable?.ino, String(statSync("/proc/self/exe").ino));
  t.is(own?.parent, process.ppid);
  t.is(own?.uid, process.geteuid?.());
  t.true((own?.cmdline.length ?? 0) > 0);
});

test("a process that is gone is not reported", async (t) => {
  const child = spawn("true");
  await new Promise((resolve) => child.once("exit", resolve));
  t.is(readProcess("/proc", child.pid ?? -1), undefined);
});

test("a name with parentheses and spaces does not shift the fields", (t) => {
  const rest = ["S", "7", ...Array.from({ length: 17 }, () => "0"), "12345", "0"].join(" ");
  const reported = { comm: "a) b (c", parent: 7, startedAt: 12345, isExiting: false };
  t.deepEqual(parseStat(`99 (a) b (c) ${rest}`), reported);
});

test("a process that has died and was not yet collected is exiting, one that lives is not", async (t) => {
  t.false(readProcess("/proc", process.pid)?.isExiting);
  await using zombie = await makeZombie();
  const dead = readProcess("/proc", zombie.pid);
  t.true(dead?.isExiting);
  t.is(dead?.comm, "cat");
  t.is(dead?.exe, undefined);
});

test("a stat that makes no sense is none", (t) => {
  for (const text of ["", "1 comm S", "1 (x", "1 (x) S"]) t.is(parseStat(text), undefined);
});

test("arguments end with a NUL, and an empty one is one", (t) => {
  t.deepEqual(parseCmdline(Buffer.from("a\0\0b\0")), ["a", "", "b"]);
  t.deepEqual(parseCmdline(Buffer.from("renamed by itself")), ["renamed by itself"]);
  t.deepEqual(parseCmdline(Buffer.alloc(0)), []);
});

test("a long command line is cut", (t) => {
  const args = parseCmdline(Buffer.from(`${"x".repeat(5000)}\0${"y\0".repeat(500)}`));
  t.is(args.length, 64);
  t.is(args[0]?.length, 1024);
});

test("the user is the effective one", (t) => {
  t.is(parseUid("Name:\tsu\nUid:\t1000\t0\t0\t0\nGid:\t1\t1\t1\t1\n"), 0);
  t.is(parseUid("Name:\tsu\n"), undefined);
});
