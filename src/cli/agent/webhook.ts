import { testWebhooks } from "../../agent/commands/test-webhook.ts";
import type { Tested } from "../../agent/commands/test-webhook.ts";
import type { Settings } from "../../config/settings.ts";
import { openState } from "../../node/state.ts";
import { exit } from "../fail.ts";
import type { Exit } from "../fail.ts";
import type { Given } from "../fast-args.ts";
import { out, say } from "../print.ts";

/** `webhook test [NAME]`: a signed test event to each sink, or to one. Enables one that a 410 disabled. */
export async function test(settings: Settings, given: Given): Promise<Exit> {
  using state = openState(settings);
  const { name } = given;
  const tested = await testWebhooks(state, typeof name === "string" ? name : undefined, {
    settings,
    warn: (problem) => say(`fim-agent: ${problem}`),
  });
  if (settings.format === "json") out(JSON.stringify(tested, undefined, 2));
  else
    for (const one of tested) out(settings.format === "ndjson" ? JSON.stringify(one) : lineOf(one));
  return tested.every(({ ok }) => ok) ? exit.fine : exit.drift;
}

function lineOf({ sink, ok, answer, enabled }: Tested): string {
  return `${ok ? "ok" : "!!"}  ${sink}  ${answer}${enabled ? ", enabled again" : ""}`;
}
