import { createReadStream } from "node:fs";
import { verifyEvidence } from "../../collector/evidence/verify.ts";
import type { EvidenceReport } from "../../collector/evidence/verify.ts";
import type { CollectorSettings } from "../../collector/settings.ts";
import type { Format } from "../../config/options.ts";
import { reasonOf } from "../../config/read.ts";
import { IntegrityError } from "../../core/error.ts";
import { exit } from "../fail.ts";
import type { Exit } from "../fail.ts";
import { printResult } from "../print.ts";
import { readPublicKey } from "../public-key.ts";

/** `verify FILE [--key FILE]`: from the file alone, without a store. */
export async function verify(
  _settings: CollectorSettings,
  given: Readonly<Record<string, unknown>>,
): Promise<Exit> {
  const keyFile = given["key"];
  const trusted = typeof keyFile === "string" ? readPublicKey(keyFile) : undefined;
  const report = await verifyEvidence(chunksOf(String(given["file"])), trusted);
  const lines = report.ok
    ? [...describe(report), ...(trusted ? [] : [unknownKey])]
    : [broken(report)];
  printResult(given["format"] as Format, { ...report }, lines);
  return report.ok ? exit.fine : exit.drift;
}

const unknownKey = "the key was not compared with any: give the collector's with --key FILE";

type Good = Extract<EvidenceReport, { ok: true }>;
type Bad = Extract<EvidenceReport, { ok: false }>;

function describe(report: Good): readonly string[] {
  const { records, chains, at, key, checkpoint, node, since } = report;
  const { withheld, pruned, dropped, formerKeys } = report;
  const scope = [node && `of ${node}`, since && `received since ${since}`].filter((one) => one);
  return [
    `evidence: good, ${records} records in ${chains} chains${scope.map((one) => `, ${one}`).join("")}`,
    `signed: ${at} by ${key}`,
    `log: ${checkpoint.size} records, root ${checkpoint.root}`,
    ...(withheld > 0
      ? [`not in the file: ${withheld} records of the log, by their hashes only`]
      : []),
    ...(formerKeys > 0
      ? [`former keys: ${formerKeys} chains are not by the key that their node enrolled with last`]
      : []),
    ...(pruned > 0
      ? [`lost: ${pruned} records that agents had deleted before they were asked`]
      : []),
    ...(dropped > 0 ? [`not recorded: ${dropped} changes that agents counted and dropped`] : []),
  ];
}

function broken({ line, chain, seq, fault }: Bad): string {
  const where =
    chain === undefined ? "" : `chain ${chain}${seq === undefined ? "" : `, record ${seq}`}: `;
  return `evidence: broken at line ${line}: ${where}${fault}`;
}

async function* chunksOf(file: string): AsyncIterable<Buffer> {
  try {
    yield* createReadStream(file) as AsyncIterable<Buffer>;
  } catch (cause) {
    throw new IntegrityError("USAGE", `evidence ${file}: ${reasonOf(cause)}`, {
      hint: "name a file that fim-collector export wrote",
      cause,
    });
  }
}
