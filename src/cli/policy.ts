import { openNode, policyDirs } from "../agent/node.ts";
import type { Settings } from "../agent/settings.ts";
import {
  formatExplanation,
  formatExplanationJson,
  formatLint,
  formatPolicy,
} from "../policy/format.ts";
import { loadPolicy } from "../policy/load.ts";
import { exit } from "./fail.ts";
import type { Exit } from "./fail.ts";
import { listOf, nodePath } from "./given.ts";
import { out } from "./print.ts";

type Given = Readonly<Record<string, unknown>>;

/** `policy lint [FILE…]`: of no file, the policy in force. */
export async function lint(settings: Settings, given: Given): Promise<Exit> {
  const files = listOf(given, "file");
  if (files.length === 0) {
    using node = await openNode(settings);
    out(formatLint(node.policy.name, node.policy));
    return exit.fine;
  }
  for (const file of files) out(formatLint(file, await loadPolicy([file], { dirs: policyDirs })));
  return exit.fine;
}

/** `policy explain PATH` */
export async function explain(settings: Settings, given: Given): Promise<Exit> {
  using node = await openNode(settings);
  const explanation = node.rules.explain(nodePath(String(given["path"])));
  out(
    settings.format === "table"
      ? formatExplanation(explanation)
      : formatExplanationJson(explanation),
  );
  return exit.fine;
}

/** `policy show` */
export async function show(settings: Settings): Promise<Exit> {
  using node = await openNode(settings);
  out(formatPolicy(node.policy, settings.format === "table" ? "yaml" : "json"));
  return exit.fine;
}
