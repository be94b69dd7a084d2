import type { Severity } from "../../core/policy/rule.ts";

/** What a format asks of its settings. */
interface FormatNeeds {
  /** What its secret file holds: keys that sign, or one token. */
  readonly secret: "keys" | "token" | "optional token" | "none";
  /** Where the service is, when the settings do not say. */
  readonly url?: string;
  readonly schemes: readonly ("http:" | "https:" | "tcp:" | "tls:")[];
  /** Sends nothing below it, when the settings do not say. */
  readonly minSeverity: Severity;
}

const web = { schemes: ["http:", "https:"] } as const;

/** One entry for each format that a configuration may give to a sink. */
const formatNeeds = {
  standard: { ...web, secret: "keys", minSeverity: "info" },
  slack: { ...web, secret: "none", minSeverity: "medium" },
  teams: { ...web, secret: "none", minSeverity: "medium" },
  discord: { ...web, secret: "none", minSeverity: "medium" },
  pagerduty: {
    ...web,
    url: "https://events.pagerduty.com/v2/enqueue",
    secret: "token",
    minSeverity: "high",
  },
  alertmanager: { ...web, secret: "optional token", minSeverity: "high" },
  splunk: { ...web, secret: "token", minSeverity: "info" },
  elastic: { ...web, secret: "optional token", minSeverity: "info" },
  syslog: { schemes: ["tcp:", "tls:"], secret: "none", minSeverity: "info" },
  otlp: { ...web, secret: "optional token", minSeverity: "info" },
} as const satisfies Readonly<Record<string, FormatNeeds>>;

export type FormatName = keyof typeof formatNeeds;

export function needsOf(format: FormatName): FormatNeeds {
  return formatNeeds[format];
}

export const formatNames = Object.keys(formatNeeds) as readonly FormatName[];
