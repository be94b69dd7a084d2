import test from "ava";
import { parseFormat } from "../../../src/linux/bpf/perf.ts";

const common = [
  "name: sched_process_fork",
  "ID: 366",
  "format:",
  "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;",
  "\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;",
  "",
];

test("a field that says where its text is, is distinguished from one that holds it", (t) => {
  const newer = parseFormat(
    [
      ...common,
      "\tfield:__data_loc char[] parent_comm;\toffset:8;\tsize:4;\tsigned:0;",
      "\tfield:pid_t child_pid;\toffset:20;\tsize:4;\tsigned:1;",
    ].join("\n"),
  );
  t.deepEqual(newer.get("parent_comm"), { offset: 8, size: 4, isDataLocation: true });
  t.deepEqual(newer.get("child_pid"), { offset: 20, size: 4, isDataLocation: false });
  const older = parseFormat(
    [
      ...common,
      "\tfield:char parent_comm[16];\toffset:8;\tsize:16;\tsigned:0;",
      "\tfield:pid_t child_pid;\toffset:44;\tsize:4;\tsigned:1;",
    ].join("\n"),
  );
  t.deepEqual(older.get("parent_comm"), { offset: 8, size: 16, isDataLocation: false });
  t.is(older.get("child_pid")?.offset, 44);
  t.is(older.size, 4);
});

test("a text without fields has none", (t) => {
  t.is(parseFormat("").size, 0);
  t.is(parseFormat("field:int x;").size, 0);
});
