import { ProgramDigests } from "../../attribute/program-digests.ts";
import { isBelow } from "../../core/path.ts";
import { isSameProgram, mergePrograms } from "../../core/record/program.ts";
import type { ApprovedProgram } from "../../core/record/program.ts";
import type { Node } from "../../node/node.ts";
import { manifestDirectories } from "../../reconcile/approved/writer-identity.ts";

/** What runs in static pods at a capture. */
interface StaticPrograms {
  readonly programs: readonly ApprovedProgram[];
  /** Rules whose writers run in no static pod now: what those write is reported. */
  readonly idle: readonly string[];
}

/** The allowed writers that run in static pods now. */
export async function captureStaticPrograms(node: Node): Promise<StaticPrograms> {
  const digests = new ProgramDigests();
  const programs = await digests.running(staticWriters(node));
  const running = new Set(programs.map(({ exe }) => exe));
  const idle = digests.hasStaticPods
    ? rulesOf(node)
        .filter(({ writers }) => !writers.some((writer) => running.has(writer)))
        .map(({ id }) => id)
    : [];
  return { programs: mergePrograms([], programs), idle };
}

interface Acceptance {
  readonly before: readonly ApprovedProgram[];
  readonly paths: readonly string[];
  readonly all: boolean;
}

interface AcceptedPrograms {
  readonly programs: readonly ApprovedProgram[];
  /** Those that were not approved before. */
  readonly news: readonly ApprovedProgram[];
  /** Paths that name a program of a static pod, and need not exist on the node. */
  readonly named: readonly string[];
}

/** Approves the running program that a path names; with a static pod's manifest, or all, every one. */
export async function acceptStaticPrograms(
  node: Node,
  { before, paths, all }: Acceptance,
): Promise<AcceptedPrograms> {
  const writers = staticWriters(node);
  const isEvery = all || paths.some(isOfManifests);
  const wanted = isEvery ? writers : new Set(paths.filter((path) => writers.has(path)));
  const running = await new ProgramDigests().running(wanted);
  const programs = mergePrograms(before, running);
  return {
    programs,
    news: programs.filter((one) => !before.some((other) => isSameProgram(one, other))),
    named: running.map(({ exe }) => exe),
  };
}

function isOfManifests(path: string): boolean {
  return manifestDirectories.some((directory) => path === directory || isBelow(path, directory));
}

function rulesOf({ policy }: Pick<Node, "policy">): Node["policy"]["rules"] {
  return policy.rules.filter(({ containerWriters }) => containerWriters === "static");
}

export function staticWriters(node: Pick<Node, "policy">): Set<string> {
  return new Set(rulesOf(node).flatMap(({ writers }) => writers));
}
