import test from "ava";
import { procedureOf } from "../../../src/core/change/incident.ts";
import type { Relative } from "../../../src/core/change/hint.ts";

/** A chain of processes, the actor first: "dpkg 30" started 30 s after boot and has the pid 30. */
const actorOf = (...chain: readonly string[]) => {
  const lineage = chain.map((one): Relative => {
    const [comm = "", seconds = ""] = one.split(" ");
    const since = { startedAt: Number(seconds) * 1000 };
    return { pid: Number(seconds), comm, ...(seconds !== "" && since) };
  });
  const [self] = lineage;
  return { pid: self?.pid ?? 0, comm: self?.comm ?? "", lineage };
};
const found = (...chain: readonly string[]) => procedureOf(actorOf(...chain)).comm;

test("whatever a package manager starts works for it", (t) => {
  t.is(found("dpkg 31", "apt-get 30", "bash 1", "sshd 1"), "apt-get");
  t.is(found("perl 35", "sh 34", "cron.postinst 33", "dpkg 31", "apt-get 30", "bash 1"), "apt-get");
  t.is(found("dpkg 31", "bash 1"), "dpkg");
});

test("what a script starts works for the script, what a person starts in a shell for itself", (t) => {
  t.is(procedureOf(actorOf("cp 32", "sh 31", "python3 1")).pid, 31);
  t.is(procedureOf(actorOf("cp 33", "sh 32", "bash 31", "sshd 1")).pid, 31);
  t.is(found("cp 1000", "bash 1", "sshd 1"), "cp");
  t.is(found("bash 1", "sshd 1"), "bash");
  t.is(found("vim 1000", "bash 1"), "vim");
});

test("without a known start a shell counts as one that someone works in", (t) => {
  const lineage = [
    { pid: 9, comm: "cp" },
    { pid: 8, comm: "sh" },
  ];
  t.is(procedureOf({ pid: 9, comm: "cp", lineage }).pid, 9);
  t.like(procedureOf({ pid: 7 }), { pid: 7, comm: "" });
});
