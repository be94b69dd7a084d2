import { isAtLeast } from "../core/policy/rule.ts";
import type { Notice } from "../core/record/notice.ts";
import type { SinkSettings } from "./sink.ts";

type Filter = Pick<SinkSettings, "minSeverity" | "clusters" | "rules">;

/**
 * Whether a sink's filters let a notice pass. Only changes of files have a rule of a policy. A format for machines gets
 * every event of an agent, one for people only those of the least severity.
 */
export function isWanted(notice: Notice, filter: Filter, isForPeople: boolean): boolean {
  if (filter.clusters && !filter.clusters.includes(notice.cluster)) return false;
  if (notice.kind === "event" && !isForPeople) return true;
  if (!isAtLeast(importanceOf(notice), filter.minSeverity)) return false;
  if (notice.kind !== "change" || !filter.rules) return true;
  return filter.rules.some((glob) => matchesRule(notice.rule ?? "", glob));
}

/** The end of a trouble is for those who got its beginning, and a test is for all. */
function importanceOf({ type, severity, isOver, trouble }: Notice): Notice["severity"] {
  if (type === "fim.agent.test") return "critical";
  if (isOver) return trouble === "silent" ? "critical" : "high";
  return severity;
}

/** "kubeadm/*" matches "kubeadm/static-pods". Takes linear time, because a node names its rules. */
export function matchesRule(rule: string, glob: string): boolean {
  const [head = "", ...parts] = glob.split("*");
  const tail = parts.pop();
  if (tail === undefined) return rule === glob;
  if (!rule.startsWith(head)) return false;
  let at = head.length;
  for (const part of parts) {
    const found = rule.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return rule.length - tail.length >= at && rule.endsWith(tail);
}
