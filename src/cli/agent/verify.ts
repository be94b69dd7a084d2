import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { openState } from "../../node/state.ts";
import type { State } from "../../node/state.ts";
import type { Settings } from "../../config/settings.ts";
import { verifyState } from "../../agent/commands/verify.ts";
import { reasonOf } from "../../config/read.ts";
import { IntegrityError } from "../../core/error.ts";
import { verifyExport } from "../../outbox/export.ts";
import type { ChainReport } from "../../outbox/verify.ts";
import { exit, fail } from "../fail.ts";
import type { Exit } from "../fail.ts";
import { printResult, say } from "../print.ts";
import { readPublicKey } from "../public-key.ts";

/** `verify [EXPORT]` */
export async function verify(
  settings: Settings,
  given: Readonly<Record<string, unknown>>,
): Promise<Exit> {
  const file = given["export"];
  if (typeof file === "string") return verifyFile(settings, file, given["key"]);
  if (given["key"] !== undefined)
    throw new IntegrityError("USAGE", "verify --key: expected an exported file, found none", {
      hint: "the state directory is verified by its own key; name the file: verify FILE --key KEY",
    });
  return verifyOwn(settings);
}

function verifyOwn(settings: Settings): Exit {
  using state = opened(settings);
  if (!state) return exit.drift;
  const { baseline, chain } = verifyState(state);
  const baselineResult = baseline.ok
    ? { ok: true, ...baseline.statement }
    : { ok: false, fault: baseline.fault.message };
  printResult(settings.format, { ok: baseline.ok && chain.ok, baseline: baselineResult, chain }, [
    baseline.ok
      ? `baseline: good, counter ${baseline.statement.counter}, ${baseline.statement.rows} paths, signed by ${baseline.statement.key}`
      : baseline.fault.message,
    chainLine(chain),
  ]);
  if (!baseline.ok) {
    say(`hint: ${baseline.fault.hint ?? "find out who did it"}`);
    return exit.untrusted;
  }
  return chain.ok ? exit.fine : exit.drift;
}

/** Undefined after a report: a chain that cannot be opened has failed its check. */
function opened(settings: Settings): State | undefined {
  try {
    return openState(settings);
  } catch (error) {
    if (!(error instanceof IntegrityError && error.code === "CHAIN_BROKEN")) throw error;
    fail("fim-agent", error);
    return undefined;
  }
}

async function verifyFile(settings: Settings, file: string, keyFile: unknown): Promise<Exit> {
  const trusted = typeof keyFile === "string" ? [readPublicKey(keyFile)] : undefined;
  const report = await verifyExport(linesOf(file), trusted);
  printResult(settings.format, { ...report }, [
    chainLine(report),
    ...(report.ok && !trusted
      ? [
          `signer ${report.signer ?? "unknown"}: not compared with any key; give one with --key FILE`,
        ]
      : []),
  ]);
  return report.ok ? exit.fine : exit.drift;
}

function chainLine(report: ChainReport): string {
  return report.ok
    ? `chain: good, ${report.records} records, ${report.first} to ${report.last}, head ${report.head.hash}`
    : `chain: broken at record ${report.seq}: ${report.fault}`;
}

async function* linesOf(file: string): AsyncIterable<string> {
  try {
    yield* createInterface({ input: createReadStream(file), crlfDelay: Infinity });
  } catch (cause) {
    throw new IntegrityError("USAGE", `export ${file}: ${reasonOf(cause)}`, {
      hint: "name a file that fim-agent export wrote",
      cause,
    });
  }
}
