import type { Btf } from "../linux/bpf/btf.ts";

/** A way from a task to a value: offsets in bytes in the structures on the way, each of a pointer but the last. */
export type KernelPath = readonly number[];

/** What a program reads of the current task, where this kernel has it. */
export interface KernelPaths {
  /** Of the executed file: its inode number, and the device of its filesystem. */
  readonly executable?: { readonly ino: KernelPath; readonly dev: KernelPath };
  /** Where the memory of its arguments begins and ends (proc_pid_stat(5), arg_start and arg_end). */
  readonly arguments?: { readonly start: KernelPath; readonly end: KernelPath };
  /** The id of its cgroup in the memory controller's hierarchy, which shows the container on nodes with version 1. */
  readonly controller?: KernelPath;
}

type Member = readonly [struct: string, member: string];

const memory = ["task_struct", "mm"] as const satisfies Member;

const inode = [
  memory,
  ["mm_struct", "exe_file"],
  ["file", "f_inode"],
] as const satisfies readonly Member[];

const cgroupOfState = [
  ["cgroup_subsys_state", "cgroup"],
  ["cgroup", "kn"],
  ["kernfs_node", "id"],
] as const satisfies readonly Member[];

const pointerSize = 8;

export function pathsIn(btf: Btf): KernelPaths {
  const ino = offsets(btf, [...inode, ["inode", "i_ino"]]);
  const dev = offsets(btf, [...inode, ["inode", "i_sb"], ["super_block", "s_dev"]]);
  const [start, end] = ["arg_start", "arg_end"].map((name) =>
    offsets(btf, [memory, ["mm_struct", name]]),
  );
  const controller = controllerIn(btf);
  return {
    ...(ino && dev && { executable: { ino, dev } }),
    ...(start && end && { arguments: { start, end } }),
    ...(controller && { controller }),
  };
}

/** The states of a task's controllers are an array of pointers. */
function controllerIn(btf: Btf): KernelPath | undefined {
  const index = btf.valueOf("cgroup_subsys_id", "memory_cgrp_id");
  const set = btf.offsetOf("task_struct", "cgroups");
  const states = btf.offsetOf("css_set", "subsys");
  const rest = offsets(btf, cgroupOfState);
  if (index === undefined || set === undefined || states === undefined || !rest) return undefined;
  return [set, states + index * pointerSize, ...rest];
}

function offsets(btf: Btf, members: readonly Member[]): KernelPath | undefined {
  const found = members.map(([struct, member]) => btf.offsetOf(struct, member));
  const known = found.filter((offset) => offset !== undefined);
  return known.length === found.length ? known : undefined;
}
