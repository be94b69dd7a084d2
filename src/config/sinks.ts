import { z } from "zod";
import { IntegrityError } from "../core/error.ts";
import { present } from "../core/present.ts";
import { severities } from "../core/policy/rule.ts";
import { fieldsOf, textAt } from "../core/record/fields.ts";
import { formatNames, needsOf } from "../deliver/formats/names.ts";
import { linkProblem } from "../deliver/link.ts";
import { parseSecret } from "../deliver/secret.ts";
import { sinkName } from "../deliver/sink.ts";
import type { SinkSettings } from "../deliver/sink.ts";
import { readAuthority, reasonOf } from "./read.ts";
import type { ReadFile } from "./read.ts";

/** A sink as a file has it: its URL may lie in a file of its own. */
type SinkEntry = Omit<SinkSettings, "url"> & { readonly url?: string };

/** A sink with its places in the file, for later problems. */
export interface PlacedSink {
  readonly entry: SinkEntry;
  /** "file:line" of a setting. */
  readonly where: (setting: "url" | "urlFile" | "secret") => string;
}

/** The list of sinks in a configuration file, of the agent or of the collector. `path` resolves a file's path. */
export function sinkList(path: z.ZodType<string, string>) {
  const shape = z.strictObject({
    format: z.enum(formatNames).default("standard"),
    url: z.string().exactOptional(),
    urlFile: path.exactOptional(),
    secret: path.exactOptional(),
    ca: path.exactOptional(),
    proxy: webUrl.exactOptional(),
    minSeverity: z.enum(severities).exactOptional(),
    clusters: names.exactOptional(),
    rules: names.exactOptional(),
    link: z.string().exactOptional(),
  });
  const checked = checkedSettings.reduce(
    (schema, setting) =>
      schema.refine((entry) => problemOf(setting, entry) === undefined, {
        path: [setting],
        // Also beside other problems, so that all are reported at once.
        when: () => true,
        error: ({ input }) => problemOf(setting, input),
      }),
    shape,
  );
  const sink = checked.transform(withDefaults);
  return z.array(sink).superRefine((entries, context) => {
    for (const [index, entry] of entries.entries()) {
      const key = keyOf(entry);
      if (key === undefined || entries.findIndex((other) => keyOf(other) === key) === index)
        continue;
      const message = "this receiver is already in the list";
      context.addIssue({ code: "custom", path: [index, "url"], message });
    }
  });
}

/** A URL of the web without user and password. */
export const webUrl = z.string().superRefine((text, context) => {
  const message = urlProblem(text, ["http:", "https:"]);
  if (message !== undefined) context.addIssue({ code: "custom", message });
});

export function placeSinks(
  entries: readonly SinkEntry[],
  where: (keys: readonly PropertyKey[]) => string,
): readonly PlacedSink[] {
  return entries.map((entry, index) => ({ entry, where: (setting) => where([index, setting]) }));
}

/** Reads the files of the sinks now, rather than when an alert needs them. */
export async function checkSinks(
  placed: readonly PlacedSink[],
  readFile: ReadFile,
  problems: string[],
): Promise<readonly SinkSettings[]> {
  const sinks: SinkSettings[] = [];
  for (const { entry, where } of placed) {
    await checkSecret(entry, readFile).catch((error: unknown) =>
      problems.push(`${where("secret")}: secret ${entry.secret}: ${reasonOf(error)}`),
    );
    const url = await urlOf(entry, readFile).catch((error: unknown) => {
      problems.push(`${where("urlFile")}: urlFile ${entry.urlFile}: ${reasonOf(error)}`);
    });
    if (url === undefined) continue;
    const sink = { ...entry, url };
    if (sinks.some((other) => sinkName(other) === sinkName(sink)))
      problems.push(`${where("urlFile")}: this receiver is already in the list`);
    sinks.push(sink);
  }
  for (const ca of new Set(placed.flatMap(({ entry }) => entry.ca ?? [])))
    await readAuthority(ca, readFile, problems);
  return sinks;
}

type Written = Omit<SinkEntry, "minSeverity"> & { readonly minSeverity?: SinkEntry["minSeverity"] };

const names = z.array(z.string().min(1)).min(1, "expected at least one, found none");

const checkedSettings = ["url", "urlFile", "secret", "proxy", "link"] as const;

/** What a format asks of a setting, in an entry that may have other problems. */
function problemOf(setting: (typeof checkedSettings)[number], entry: unknown): string | undefined {
  const format = formatNames.find((name) => name === (fieldsOf(entry)["format"] ?? "standard"));
  if (format === undefined) return undefined;
  const needs = needsOf(format);
  const has = (name: string) => fieldsOf(entry)[name] !== undefined;
  const text = textAt(entry, setting);
  switch (setting) {
    case "url":
      if (text !== undefined) return urlProblem(text, needs.schemes);
      return has("url") || has("urlFile") || needs.url !== undefined ? undefined : missing;
    case "urlFile":
      return has("url") && has("urlFile") ? "expected url or urlFile, found both" : undefined;
    case "secret":
      if (needs.secret === "none") return has("secret") ? `format ${format} has none` : undefined;
      return has("secret") || needs.secret === "optional token" ? undefined : missing;
    case "proxy":
      return has("proxy") && !needs.schemes.includes("https:")
        ? `format ${format} takes none`
        : undefined;
    case "link":
      return text === undefined ? undefined : linkProblem(text);
  }
}

const missing = "expected string, found nothing";

function withDefaults({ minSeverity, ...entry }: Written): SinkEntry {
  const needs = needsOf(entry.format);
  const url = entry.url ?? (entry.urlFile === undefined ? needs.url : undefined);
  return present({ ...entry, url, minSeverity: minSeverity ?? needs.minSeverity });
}

function keyOf({ url, ...entry }: SinkEntry): string | undefined {
  return url !== undefined && URL.canParse(url) ? sinkName({ ...entry, url }) : undefined;
}

async function checkSecret({ format, secret }: SinkEntry, readFile: ReadFile): Promise<void> {
  if (secret === undefined) return;
  parseSecret(await readFile(secret), needsOf(format).secret === "keys" ? "keys" : "token");
}

/** The URL's file holds it alone, on one line. Errors never show it. */
async function urlOf(entry: SinkEntry, readFile: ReadFile): Promise<string> {
  if (entry.urlFile === undefined) return entry.url ?? "";
  const url = (await readFile(entry.urlFile)).trim();
  const problem = urlProblem(url, needsOf(entry.format).schemes);
  if (problem !== undefined) throw new IntegrityError("CONFIG_INVALID", problem);
  return url;
}

function urlProblem(text: string, schemes: readonly string[]): string | undefined {
  const parsed = URL.canParse(text) ? new URL(text) : undefined;
  if (!parsed || !schemes.includes(parsed.protocol)) {
    const written = schemes.map((scheme) => scheme.slice(0, -1)).join(" or ");
    return `expected ${/^[aeiouh]/.test(written) ? "an" : "a"} ${written} URL`;
  }
  if (parsed.username === "" && parsed.password === "") return undefined;
  return "expected a URL without user and password";
}
