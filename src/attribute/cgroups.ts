import { openSync, statSync } from "node:fs";
import { parseCgroupPath } from "../core/cgroup.ts";
import { close } from "../linux/files.ts";
import { cgroupPathOf } from "../linux/handles.ts";
import type { ExecRecord } from "./exec-history.ts";

/** A mounted hierarchy of cgroups. */
interface Hierarchy {
  readonly dir: string;
  readonly fd: number;
}

interface Hierarchies {
  readonly unified: Hierarchy | undefined;
  /** Version 1, which has the runtimes' containers where it exists. */
  readonly controller: Hierarchy | undefined;
}

/** Cgroup ids -> paths, while the cgroups exist. */
export class Cgroups implements Disposable {
  readonly #base: string;
  #hierarchies: Hierarchies | undefined;

  /** Where the agent sees the node's root. */
  constructor(root: string) {
    this.#base = `${root === "/" ? "" : root}/sys/fs/cgroup`;
  }

  /** Undefined: the cgroup is gone, or its path does not show whether it is a container's. */
  pathOf({ cgroupId, controllerId }: ExecRecord): string | undefined {
    this.#hierarchies ??= this.#open();
    const { unified, controller } = this.#hierarchies;
    const second = unified && pathIn(unified, cgroupId);
    if (!controller) return second;
    const first = controllerId === undefined ? undefined : pathIn(controller, controllerId);
    const isNamed = second !== undefined && parseCgroupPath(second) !== undefined;
    return isNamed ? second : first;
  }

  [Symbol.dispose](): void {
    for (const hierarchy of Object.values(this.#hierarchies ?? {}))
      if (hierarchy) close(hierarchy.fd);
    this.#hierarchies = undefined;
  }

  /** Version 2 is mounted alone, or beside version 1. */
  #open(): Hierarchies {
    const alone = openHierarchy(this.#base);
    if (alone) return { unified: alone, controller: undefined };
    return {
      unified: openHierarchy(`${this.#base}/unified`),
      controller: openHierarchy(`${this.#base}/memory`),
    };
  }
}

function openHierarchy(dir: string): Hierarchy | undefined {
  try {
    statSync(`${dir}/cgroup.procs`);
    return { dir, fd: openSync(dir, "r") };
  } catch {
    return undefined; // Not mounted here.
  }
}

function pathIn({ dir, fd }: Hierarchy, id: bigint): string | undefined {
  const seen = cgroupPathOf(id, fd);
  if (seen === undefined) return undefined;
  return seen.startsWith(dir) ? seen.slice(dir.length) || "/" : seen;
}
