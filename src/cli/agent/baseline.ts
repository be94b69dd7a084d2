import { captureBaseline } from "../../agent/commands/capture.ts";
import { openNode, readPolicy } from "../../node/node.ts";
import type { Settings } from "../../config/settings.ts";
import { createState } from "../../node/state.ts";
import { IntegrityError } from "../../core/error.ts";
import { exit } from "../fail.ts";
import type { Exit } from "../fail.ts";
import { reasonOf } from "../arguments.ts";
import { printResult, say } from "../print.ts";
import { ProgressLine } from "../progress.ts";
import { unseenLines, warnUnseen } from "../incomplete.ts";

/** `baseline [--replace --reason TEXT]` */
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
  const { rows, counter, digest, policy, key, at } = statement;
  const result = {
    rows,
    counter,
    digest,
    policy,
    key,
    at,
    seconds,
    incomplete: unseenLines(unseen),
  };
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
