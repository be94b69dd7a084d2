import { dirname } from "node:path";
import { z } from "zod";
import { IntegrityError } from "../core/error.ts";
import type { SinkSettings } from "../deliver/sink.ts";
import { filePath, parseFile } from "./parse.ts";
import { reasonOf } from "./read.ts";
import type { ReadFile } from "./read.ts";
import { checkSinks, placeSinks, sinkList } from "./sinks.ts";

interface CollectorFile {
  readonly sinks: readonly SinkSettings[];
}

/** Reads a collector's configuration file. Throws with every problem. */
export async function readCollectorFile(file: string, readFile: ReadFile): Promise<CollectorFile> {
  const text = await readFile(file).catch((error: unknown) => {
    throw invalid([`${file}: ${reasonOf(error)}`]);
  });
  const schema = z.strictObject({ webhooks: sinkList(filePath(dirname(file))).exactOptional() });
  const { parsed, problems, lineOf } = parseFile(schema, file, text);
  const where = (keys: readonly PropertyKey[]) => `${file}:${lineOf(["webhooks", ...keys])}`;
  const placed = placeSinks(parsed?.webhooks ?? [], where);
  const all = [...problems];
  const sinks = await checkSinks(placed, readFile, all);
  if (all.length > 0) throw invalid(all);
  return { sinks };
}

function invalid(problems: readonly string[]): IntegrityError {
  return new IntegrityError("CONFIG_INVALID", `configuration: ${problems.join("\n  ")}`, {
    hint: "the file holds webhooks: and a list of sinks, as docs/operations.md describes",
  });
}
