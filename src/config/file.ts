import { dirname, resolve } from "node:path";
import { z } from "zod";
import {
  parseDuration,
  parseRate,
  parseSize,
  printDuration,
  printRate,
  printSize,
} from "../core/duration.ts";
import type { Settings } from "./settings.ts";
import { engines, formats, isPolicyFile, logLevels, parseListen, parseName } from "./options.ts";
import type { Read } from "./options.ts";
import { filePath, parseFile } from "./parse.ts";
import { placeSinks, sinkList, webUrl } from "./sinks.ts";
import type { PlacedSink } from "./sinks.ts";

/** The settings of a configuration file. File paths are resolved against its directory. */
export interface FileOptions {
  readonly root?: string;
  readonly state?: string;
  readonly policy?: readonly string[];
  readonly node?: string;
  readonly cluster?: string;
  readonly engine?: Settings["engine"];
  readonly format?: Settings["format"];
  readonly listen?: Settings["listen"];
  readonly logLevel?: Settings["logLevel"];
  readonly collector?: NonNullable<Settings["collector"]>;
  /** With their place in the file, for later problems. */
  readonly webhooks?: readonly PlacedSink[];
  readonly watch?: Partial<Settings["watch"]>;
  readonly outbox?: Partial<Settings["outbox"]>;
}

interface ParsedFile {
  readonly options: FileOptions;
  /** Each as "file:line: what is wrong". */
  readonly problems: readonly string[];
}

/** The text of a configuration file -> its settings, and every problem. */
export function parseConfigFile(file: string, text: string): ParsedFile {
  const { parsed, problems, lineOf } = parseFile(fileSchema(dirname(file)), file, text);
  const { webhooks, ...options } = parsed ?? {};
  if (!webhooks) return { options, problems };
  const placed = placeSinks(webhooks, (keys) => `${file}:${lineOf(["webhooks", ...keys])}`);
  return { options: { ...options, webhooks: placed }, problems };
}

function fileSchema(dir: string) {
  const path = filePath(dir);
  return z.strictObject({
    root: path.exactOptional(),
    state: path.exactOptional(),
    policy: policies(dir).exactOptional(),
    node: read(parseName).exactOptional(),
    cluster: read(parseName).exactOptional(),
    engine: z.enum(engines).exactOptional(),
    format: z.enum(formats).exactOptional(),
    listen: read(parseListen).exactOptional(),
    logLevel: z.enum(logLevels).exactOptional(),
    collector: z
      .strictObject({
        url: webUrl,
        ca: path.exactOptional(),
        proxy: webUrl.exactOptional(),
        joinToken: path.exactOptional(),
      })
      .exactOptional(),
    webhooks: sinkList(path).exactOptional(),
    watch: z
      .strictObject({
        quickSweepEvery: duration(100, hour).exactOptional(),
        fullSweepEvery: duration(1000, 7 * 24 * hour).exactOptional(),
        fullSweepBudget: rate.exactOptional(),
        heartbeatEvery: duration(1000, hour).exactOptional(),
      })
      .exactOptional(),
    outbox: z.strictObject({ maxBytes: size.exactOptional() }).exactOptional(),
  });
}

const hour = 3_600_000;

/** One policy or a list. A name stays a name; a file is resolved. */
function policies(dir: string) {
  const policy = z
    .string()
    .min(1, "expected the name of a policy or a file, found nothing")
    .transform((name) => (isPolicyFile(name) ? resolve(dir, name) : name));
  return z.preprocess(
    (value) => (typeof value === "string" ? [value] : value),
    z.array(policy).min(1, "expected at least one policy, found none"),
  );
}

/** A value written as text and parsed by one of our parsers. */
function read<Value>(parse: (text: string) => Read<Value>) {
  return z.string().transform((text, context): Value => {
    const result = parse(text);
    if ("value" in result) return result.value;
    context.addIssue({ code: "custom", message: result.problem });
    return z.NEVER;
  });
}

interface Measure {
  readonly example: string;
  readonly parse: (text: string) => number | undefined;
  readonly print: (value: number) => string;
}

function quantity(measure: Measure, least: number, most: number) {
  const expected = `expected ${measure.example}`;
  return z.string(expected).transform((text, context): number => {
    const value = measure.parse(text);
    if (value !== undefined && value >= least && value <= most) return value;
    const range = `${measure.print(least)} to ${measure.print(most)}`;
    const message = value === undefined ? expected : `expected ${range}`;
    context.addIssue({ code: "custom", message: `${message}, found ${JSON.stringify(text)}` });
    return z.NEVER;
  });
}

function duration(least: number, most: number) {
  const example = "a duration such as 500ms, 5s or 1h";
  return quantity({ example, parse: parseDuration, print: printDuration }, least, most);
}

const rate = quantity(
  { example: "a rate such as 50MiB/s", parse: parseRate, print: printRate },
  64 * 2 ** 10,
  2 ** 40,
);

const size = quantity(
  { example: "a size such as 256MiB", parse: parseSize, print: printSize },
  2 ** 20,
  2 ** 40,
);
