import { isAtLeast } from "../core/policy/rule.ts";
import type { Notice } from "../core/record/notice.ts";
import type { SinkSettings } from "./sink.ts";

type Filter = Pick<SinkSettings, "minSeverity" | "clusters" | "rules">;

/**
 * Whether a sink's filters let a notice pass. Events of the agent have no rule; a format for people holds them to the
 * least severity too, a format for machines gets all.
 */
export function isWanted(notice: Notice, filter: Filter, isForPeople: boolean): boolean {
  if (filter.clusters && !filter.clusters.includes(notice.cluster)) return false;
  if (!notice.isAlert) return !isForPeople || isAtLeast(importanceOf(notice), filter.minSeverity);
  if (!isAtLeast(notice.severity, filter.minSeverity)) return false;
  return !filter.rules || filter.rules.some((glob) => matchesRule(notice.rule ?? "", glob));
}

/** The end of a trouble is for those who got its beginning, and a test is for all. */
function importanceOf({ type, severity }: Notice): Notice["severity"] {
  if (type === "fim.agent.test") return "critical";
  return type === "fim.agent.recovered" ? "high" : severity;
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
