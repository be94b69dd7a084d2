import { openNode, policyDirs, readPlacedPolicy } from "../../node/node.ts";
import type { Format } from "../../config/options.ts";
import type { Settings } from "../../config/settings.ts";
import { IntegrityError } from "../../core/error.ts";
import type { Policy } from "../../core/policy/rule.ts";
import {
  formatExplanation,
  formatExplanationJson,
  formatLint,
  formatPolicy,
} from "../../policy/format.ts";
import { invalidPolicy, loadPlacedPolicy } from "../../policy/load.ts";
import type { PlacedPolicy } from "../../policy/load.ts";
import { lookOnNode, realName } from "../../node/on-node.ts";
import { isBelow, printable } from "../../core/path.ts";
import { trapsOf } from "../../core/policy/traps.ts";
import { exit } from "../fail.ts";
import type { Exit } from "../fail.ts";
import { listOf, nodePath } from "../arguments.ts";
import { out, printResult, say } from "../print.ts";

type Given = Readonly<Record<string, unknown>>;

/** The result for one policy. */
interface Linted {
  readonly name: string;
  readonly result: Policy | IntegrityError;
  readonly warnings: readonly string[];
}

/** `policy lint [FILE…]`: without a file, the policy in force. Checks every file, whatever is wrong with the others. */
export async function lint(settings: Settings, given: Given): Promise<Exit> {
  const files = listOf(given, "file");
  const linted: Linted[] = [];
  for (const file of files) linted.push(await lintFile(file, settings));
  if (files.length === 0) {
    const placed = await readPlacedPolicy(settings);
    linted.push(judge(placed.policy.name, placed, settings));
  }
  for (const warning of linted.flatMap(({ warnings }) => warnings))
    say(`fim-agent: warning: ${warning}`);
  printLinted(settings.format, linted);
  const faults = linted.flatMap(({ result }) => (result instanceof IntegrityError ? [result] : []));
  const [first] = faults;
  if (!first) return exit.fine;
  const message = faults.map((fault) => fault.message).join("\n");
  throw new IntegrityError("POLICY_INVALID", message, {
    ...(first.hint !== undefined && { hint: first.hint }),
  });
}

async function lintFile(file: string, settings: Settings): Promise<Linted> {
  try {
    return judge(file, await loadPlacedPolicy([file], { dirs: policyDirs }), settings);
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error;
    return { name: file, result: error, warnings: [] };
  }
}

/** Looks for traps in a valid policy. */
function judge(name: string, { policy, places }: PlacedPolicy, { root }: Settings): Linted {
  const traps = trapsOf(policy.rules, {
    onNode: (path) => lookOnNode(root, path),
    isShipped: (rule) => policyDirs.some((dir) => isBelow(places[rule]?.file ?? "", dir)),
  });
  const placed = traps.map(({ rule, message, isFault }) => {
    const { file, line } = places[rule] ?? { file: name, line: 1 };
    return { file, line, message, isFault };
  });
  const faults = placed.filter(({ isFault }) => isFault);
  const warnings = placed
    .filter(({ isFault }) => !isFault)
    .map(({ file, line, message }) => `${printable(file)}:${line}: ${printable(message)}`);
  return { name, result: faults.length > 0 ? invalidPolicy([name], faults) : policy, warnings };
}

/** For people only the good ones, since problems go to stderr; for machines both. */
function printLinted(format: Format, linted: readonly Linted[]): void {
  if (format === "json") out(JSON.stringify(linted.map(lintedObject), undefined, 2));
  else
    for (const one of linted) {
      if (format === "ndjson") out(JSON.stringify(lintedObject(one)));
      else if (!(one.result instanceof IntegrityError)) out(formatLint(one.name, one.result));
    }
}

function lintedObject({ name, result, warnings }: Linted): Readonly<Record<string, unknown>> {
  return result instanceof IntegrityError
    ? { policy: name, ok: false, fault: result.message, warnings }
    : { policy: name, ok: true, rules: result.rules.length, warnings };
}

/** `policy explain PATH` */
export async function explain(settings: Settings, line: Given): Promise<Exit> {
  const path = line["path"];
  if (typeof path !== "string")
    throw new IntegrityError("USAGE", "policy explain: expected one path", {
      hint: "write it as the node sees it, without --root in front",
    });
  using node = await openNode(settings);
  const given = nodePath(path);
  const explanation = node.rules.explain(realName(node.root, given));
  if (explanation.path !== given)
    say(`${printable(given)} leads through a link to ${printable(explanation.path)}`);
  const object = JSON.parse(formatExplanationJson(explanation)) as Given;
  printResult(settings.format, object, [formatExplanation(explanation)]);
  return exit.fine;
}

/** `policy show` */
export async function show(settings: Settings): Promise<Exit> {
  using node = await openNode(settings);
  printResult(settings.format, { ...node.policy }, [formatPolicy(node.policy, "yaml")]);
  return exit.fine;
}
