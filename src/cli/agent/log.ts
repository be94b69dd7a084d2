import { setTimeout as pause } from "node:timers/promises";
import type { Settings } from "../../config/settings.ts";
import { IntegrityError } from "../../core/error.ts";
import { parseGlob } from "../../core/policy/globs.ts";
import { compileRules } from "../../core/policy/rules.ts";
import { isAtLeast, ruleDefaults, severities } from "../../core/policy/rule.ts";
import type { Severity } from "../../core/policy/rule.ts";
import { openState } from "../../node/state.ts";
import { alertsAfter } from "../../outbox/alerts.ts";
import type { AlertEvent } from "../../outbox/alerts.ts";
import { exit } from "../fail.ts";
import type { Exit } from "../fail.ts";
import { out } from "../print.ts";
import { sinceOf } from "../since.ts";

/** Milliseconds between two looks of `--follow`. */
const lookEvery = 500;

/** `log`: alerts of the chain, newest last. */
export async function log(
  settings: Settings,
  given: Readonly<Record<string, unknown>>,
): Promise<Exit> {
  const isWanted = filterOf(given);
  using state = openState(settings);
  let seq = 0;
  const show = (print: (event: AlertEvent) => void): void => {
    for (const alert of alertsAfter(state.db, seq)) {
      ({ seq } = alert);
      if (isWanted(alert.event)) print(alert.event);
    }
  };
  if (settings.format === "json" && given["follow"] !== true) {
    const all: AlertEvent[] = [];
    show((event) => all.push(event));
    out(JSON.stringify(all, undefined, 2));
    return exit.fine;
  }
  const print = (event: AlertEvent): void =>
    out(settings.format === "table" ? lineOf(event) : JSON.stringify(event));
  show(print);
  // Until the reader closes the pipe.
  while (given["follow"] === true && process.stdout.writable) {
    await pause(lookEvery);
    show(print);
  }
  return exit.fine;
}

/** "2026-11-26 03:00:12 critical cp-1: /etc/… modified: …", in local time. */
function lineOf(event: AlertEvent): string {
  const at = new Date(Number(event["time"]));
  const day = [at.getFullYear(), at.getMonth() + 1, at.getDate()].map(twoDigits).join("-");
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(twoDigits).join(":");
  return `${day} ${time} ${severityOf(event)} ${String(event["message"])}`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}

type Fields = Readonly<Record<string, unknown>>;

function changeOf(event: AlertEvent): Fields {
  return ((event["unmapped"] as Fields | undefined)?.["fim"] ?? {}) as Fields;
}

function severityOf(event: AlertEvent): Severity {
  const { severity } = changeOf(event);
  return severities.find((one) => one === severity) ?? "info";
}

function filterOf(given: Fields): (event: AlertEvent) => boolean {
  const since = sinceOf(given["since"]) ?? 0;
  const least = (given["min-severity"] ?? "info") as Severity;
  const covers = globOf(given["path"]);
  return (event) => {
    const { path, from } = changeOf(event);
    return (
      Number(event["time"]) >= since &&
      isAtLeast(severityOf(event), least) &&
      [path, from].some((one) => typeof one === "string" && covers(one))
    );
  };
}

/** A glob as in a policy: `dir/**` is the directory itself and everything below it. Throws USAGE. */
function globOf(given: unknown): (path: string) => boolean {
  if (typeof given !== "string") return () => true;
  const parsed = parseGlob(given);
  if ("problem" in parsed)
    throw new IntegrityError("USAGE", `--path ${given}: ${parsed.problem}`, {
      hint: "a path or a glob of the node, such as --path '/etc/kubernetes/**'",
    });
  const rule = {
    id: "log/path",
    paths: [given],
    severity: "info",
    why: "it is asked for",
  } as const;
  const index = compileRules([{ ...ruleDefaults, ...rule, class: "immutable" }]);
  return (path) => index.find(path) !== undefined;
}
