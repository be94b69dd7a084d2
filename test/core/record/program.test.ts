import test from "ava";
import { mergePrograms } from "../../../src/core/record/program.ts";

const etcd = { exe: "/usr/local/bin/etcd", sha256: "aa" };
const other = { exe: "/usr/local/bin/etcd", sha256: "bb" };
const server = { exe: "/usr/local/bin/kube-apiserver", sha256: "cc" };

test("a program that runs takes the place of what was approved under its name, others stay", (t) => {
  t.deepEqual(mergePrograms([etcd, server], [other]), [other, server]);
  t.deepEqual(mergePrograms([etcd, server], []), [etcd, server]);
});

test("two digests that run under one name are both approved, each once", (t) => {
  t.deepEqual(mergePrograms([], [other, etcd, other]), [etcd, other]);
});
