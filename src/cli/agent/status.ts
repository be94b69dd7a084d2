import { readStatus } from "../../agent/commands/status.ts";
import type { Status } from "../../agent/commands/status.ts";
import type { Settings } from "../../config/settings.ts";
import { printable } from "../../core/path.ts";
import { severities } from "../../core/policy/rule.ts";
import { openNode } from "../../node/node.ts";
import { exit } from "../fail.ts";
import type { Exit } from "../fail.ts";
import { printResult } from "../print.ts";
import { table } from "../table.ts";

/** `status`: 0 only if all is well. */
export async function status(settings: Settings): Promise<Exit> {
  using node = await openNode(settings);
  const found = await readStatus(node, settings);
  printResult(settings.format, objectOf(found), [table(rowsOf(found))]);
  return found.ok ? exit.fine : exit.drift;
}

function objectOf({ agent, ...rest }: Status): Readonly<Record<string, unknown>> {
  const { lastSuccess: _, ...answers } = agent ?? { lastSuccess: undefined };
  return { ...rest, ...(agent && { agent: answers }) };
}

type Row = readonly [mark: string, what: string, detail: string];

function rowsOf(found: Status): readonly Row[] {
  const { baseline, drift, sinks, agent } = found;
  const open = severities.toReversed().filter((severity) => drift[severity] > 0);
  return [
    agentRow(found),
    ...(agent?.troubles ?? []).map((why): Row => ["!!", "trouble", printable(why)]),
    ...(agent?.sweeps ?? []).map(({ sweep, age, duration }): Row => [
      "ok",
      `${sweep} sweep`,
      `${Math.round(age)} s ago, took ${duration.toFixed(3)} s${boundOf(sweep, agent?.sweepRounds)}`,
    ]),
    baseline.ok
      ? ["ok", "baseline", `${baseline.counter}, ${baseline.paths} paths, ${baseline.at}`]
      : ["!!", "baseline", baseline.fault],
    open.length === 0
      ? ["ok", "drift", "none, as last seen"]
      : ["!!", "drift", open.map((severity) => `${drift[severity]} ${severity}`).join(", ")],
    ...sinks.map(({ sink, ok, backlog, disabled, lastSuccess }): Row => [
      ok ? "ok" : "!!",
      `sink ${sink}`,
      `${backlog} waiting, ${disabled ?? `last success ${lastSuccess ?? "not known"}`}`,
    ]),
  ];
}

/** Within what time quick sweeps find a change for which there is no event. */
function boundOf(sweep: string, rounds: Readonly<Record<string, number>> = {}): string {
  const { high, low } = rounds;
  if (sweep !== "quick" || high === undefined || low === undefined) return "";
  const [soon, late] = [high, low].map((seconds) => Math.round(seconds));
  return `; every path of severity high and critical within ${soon} s, the others within ${late} s`;
}

function agentRow({ pid, agent, silent }: Status): Row {
  if (pid === undefined) return ["!!", "agent", "none is running with this state"];
  if (!agent) return ["!!", "agent", `process ${pid}, but ${silent ?? "it says nothing"}`];
  const { engine = "none", attribution = "none", ready } = agent;
  const how = `process ${pid}, engine ${engine}, attribution ${attribution}`;
  return ready ? ["ok", "agent", how] : ["!!", "agent", `${how}, not ready`];
}
