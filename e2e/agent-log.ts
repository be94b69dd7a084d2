import { globSync, readFileSync } from "node:fs";

/** What the checks look at of an event of the agent (docs/formats.md). */
export interface Seen {
  readonly path: string;
  readonly change: string;
  readonly severity: string;
  readonly offline?: boolean;
  readonly actor?: {
    readonly exe?: string;
    readonly container?: {
      readonly pod?: string;
      readonly namespace?: string;
      readonly name?: string;
    };
  };
}

interface Line {
  readonly class_uid?: number;
  readonly unmapped?: { readonly fim?: Seen };
}

/**
 * All alerts that agent pods printed on this node, oldest pod first. Read from the runtime's log files, as a log
 * shipper reads them: that works while the API server is down, too.
 */
export function alertsOf(podUids: readonly string[]): readonly Seen[] {
  return alertsIn(podUids.map((uid) => `fim-system_fim-agent-*_${uid}`));
}

/** The same, by patterns of the names that the runtime gives to pods' directories. */
export function alertsIn(directories: readonly string[]): readonly Seen[] {
  return directories
    .flatMap((directory) => globSync(`/var/log/pods/${directory}/fim-agent/*.log`).toSorted())
    .flatMap((file) => linesOf(readFileSync(file, "utf8")))
    .map((text) => (JSON.parse(text) as Line).unmapped?.fim)
    .filter((seen) => seen !== undefined);
}

/** What a container printed on stdout. The runtime splits long lines: "P" marks a part, "F" the last one. */
function linesOf(log: string): readonly string[] {
  const lines: string[] = [];
  let begun = "";
  for (const [, isLast, text = ""] of log.matchAll(/^\S+ stdout ([PF]) (.*)$/gm)) {
    begun += text;
    if (isLast !== "F") continue;
    lines.push(begun);
    begun = "";
  }
  return lines;
}
