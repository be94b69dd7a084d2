import { captureBaseline } from "../../agent/commands/capture.ts";
import { openNode, readPolicy } from "../../node/node.ts";
import type { Settings } from "../../config/settings.ts";
import { createState, openState } from "../../node/state.ts";
import type { Statement } from "../../core/record/statement.ts";
import { IntegrityError } from "../../core/error.ts";
import { exit } from "../fail.ts";
import type { Exit } from "../fail.ts";
import { reasonOf } from "../arguments.ts";
import { printResult, say } from "../print.ts";
import { ProgressLine } from "../progress.ts";
import { unseenLines, warnUnseen } from "../incomplete.ts";

/** `baseline [--replace --reason TEXT | --if-missing]` */
export async function baseline(
  settings: Settings,
  given: Readonly<Record<string, unknown>>,
): Promise<Exit> {
  const replace = given["replace"] === true;
  const reason = reasonOf(given);
  if (replace && reason === undefined)
    throw new IntegrityError("USAGE", "baseline --replace: expected --reason TEXT, found none", {
      hint: "say why the present baseline is given up; it goes into the signed record",
    });
  if (given["ifMissing"] === true) {
    if (replace)
      throw new IntegrityError("USAGE", "baseline: --replace and --if-missing exclude each other");
    const kept = trustedBaseline(settings);
    if (kept) return printKept(settings, kept);
  }
  using node = await openNode(settings, await readPolicy(settings, { fresh: true }));
  using state = createState(settings);
  const started = performance.now();
  using progress = new ProgressLine();
  const { statement, unseen, idle } = await captureBaseline(node, state, {
    settings,
    reason: reason ?? "first baseline",
    replace,
    onProgress: progress.update,
  });
  const seconds = Number(((performance.now() - started) / 1000).toFixed(3));
  progress[Symbol.dispose]();
  const { rows, counter, digest, policy, key } = statement;
  const result = { ...factsOf(statement), seconds, incomplete: unseenLines(unseen) };
  printResult(settings.format, result, [
    `baseline: ${rows} paths, counter ${counter}, policy ${policy.name}, signed by ${key}, ${seconds} s`,
    `digest ${digest}`,
  ]);
  if (idle.length > 0) {
    say(`fim-agent: no writer runs in a static pod now, for: ${idle.join(", ")}`);
    say("hint: when it runs, approve its program: fim-agent accept PROGRAM --reason TEXT");
  }
  return warnUnseen(unseen) ? exit.incomplete : exit.fine;
}

/** The present baseline, if it is trusted. Undefined: there is none now; the capture refuses if there ever was one. */
function trustedBaseline(settings: Settings): Statement | undefined {
  try {
    using state = openState(settings);
    return state.baseline.trust();
  } catch (error) {
    if (error instanceof IntegrityError && error.code === "BASELINE_MISSING") return undefined;
    throw error;
  }
}

function printKept(settings: Settings, statement: Statement): Exit {
  const { rows, counter, key, at } = statement;
  printResult(settings.format, { ...factsOf(statement), kept: true }, [
    `baseline: kept the one of ${at}, ${rows} paths, counter ${counter}, signed by ${key}`,
  ]);
  return exit.fine;
}

function factsOf({ rows, counter, digest, policy, key, at }: Statement) {
  return { rows, counter, digest, policy, key, at };
}
