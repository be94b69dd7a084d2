import type { Actor, Relative } from "./hint.ts";

/** The process that a change is a part of, found by ancestry. */
export interface Procedure {
  readonly pid: number;
  readonly comm: string;
  /** Milliseconds between two of its changes. */
  readonly patience: number;
}

/** Programs that start others to do one job, which may pause for minutes. */
const tools: ReadonlySet<string> = new Set([
  "apt-get",
  "apt",
  "aptitude",
  "unattended-upgr",
  "dpkg",
  "rpm",
  "dnf",
  "dnf5",
  "yum",
  "microdnf",
  "zypper",
  "apk",
  "kubeadm",
  "ansible-playboo",
  "puppet",
  "chef-client",
  "salt-minion",
  "cloud-init",
  "make",
  "git",
  "rsync",
]);
const shells: ReadonlySet<string> = new Set(["sh", "bash", "dash", "zsh", "ksh", "ash", "fish"]);

/** A shell that is older did not start for this one job: someone works in it. */
const oldestScript = 60_000;
const patience = 10_000;
const patienceWithTool = 300_000;

/**
 * The procedure that an actor works for: the outermost tool among its ancestors; else the script that started it
 * shortly before; else the actor itself. It only groups alerts: a name of an ancestor can be chosen by anyone.
 */
export function procedureOf({ pid, comm, lineage = [] }: Actor): Procedure {
  const tool = lineage.findLast((one) => tools.has(one.comm));
  if (tool) return { pid: tool.pid, comm: tool.comm, patience: patienceWithTool };
  const [self, ...above] = lineage;
  const others = above.findIndex((one) => !shells.has(one.comm));
  const scripts = above.slice(0, others < 0 ? undefined : others);
  const script = scripts.findLast((one) => isRecent(one, self));
  const of = script ?? self;
  return of ? { pid: of.pid, comm: of.comm, patience } : { pid, comm: comm ?? "", patience };
}

function isRecent(parent: Relative, child: Relative | undefined): boolean {
  const [from, to] = [parent.startedAt, child?.startedAt];
  return from !== undefined && to !== undefined && to - from < oldestScript;
}
