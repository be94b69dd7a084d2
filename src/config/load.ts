import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { IntegrityError } from "../core/error.ts";
import type { SinkSettings } from "../deliver/sink.ts";
import type { FileOptions } from "./file.ts";
import { choices, dashed, isPolicyFile, parseListen, parseName } from "./options.ts";
import type { Read } from "./options.ts";
import { readAuthority, reasonOf } from "./read.ts";
import type { ReadFile } from "./read.ts";
import { realPath } from "./real-path.ts";
import type { Options, Settings } from "./settings.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Command line before environment before file before default. Throws with every problem. */
export async function loadSettings(
  argv: Partial<Options>,
  env: Environment,
  readFile: ReadFile,
): Promise<Settings> {
  const problems: string[] = [];
  const fromLine = readGiven(argv, (name) => `--${dashed(name)}`, problems);
  const fromEnv = readGiven(environmentOptions(env), environmentName, problems);
  const file = argv.config ?? nonEmpty(env["FIM_CONFIG"]) ?? usualFile();
  const fromFile = file === undefined ? {} : await readConfig(resolve(file), readFile, problems);
  const given = { ...fromFile, ...fromEnv, ...fromLine };
  const node = given.node ?? defaultNode(problems);
  const webhooks = await checkedSinks(fromFile, readFile, problems);
  if (problems.length > 0) throw invalid(problems);
  return {
    policy: ["auto"],
    cluster: "default",
    engine: "auto",
    format: "table",
    listen: { host: "127.0.0.1", port: 9464 },
    logLevel: "info",
    ...given,
    root: realPath(given.root ?? "/"),
    state: realPath(given.state ?? "/var/lib/fim-agent"),
    ...(file === undefined ? {} : { config: resolve(file) }),
    node,
    ...(fromFile.collector ? { collector: fromFile.collector } : {}),
    webhooks,
    watch: { ...defaultWatch, ...fromFile.watch },
    outbox: { maxBytes: 256 * 2 ** 20, ...fromFile.outbox },
  };
}

/** Read by every command when it exists and no other is named. */
const usualConfig = "/etc/fim-agent/config.yaml";

function usualFile(): string | undefined {
  return existsSync(usualConfig) ? usualConfig : undefined;
}

const defaultWatch = {
  quickSweepEvery: 5000,
  fullSweepEvery: 3_600_000,
  fullSweepBudget: 50 * 2 ** 20,
  heartbeatEvery: 30_000,
};

/** The options of command line, environment and file. */
type Given = {
  -readonly [Key in keyof Omit<Options, "config">]?: Settings[Key];
};

/** Parses options given as text; each problem names the option as the operator wrote it. */
function readGiven(
  texts: Partial<Options>,
  nameOf: (option: keyof Options) => string,
  problems: string[],
): Given {
  const read = <Option extends keyof Omit<Given, "policy">>(
    option: Option,
    parse: (text: string) => Read<Settings[Option]>,
  ): Given => {
    const text = texts[option];
    if (text === undefined) return {};
    const result = parse(text);
    if ("value" in result) return { [option]: result.value };
    problems.push(`${nameOf(option)}: ${result.problem}`);
    return {};
  };
  return {
    ...read("root", parsePath),
    ...read("state", parsePath),
    ...readPolicies(texts.policy, nameOf("policy"), problems),
    ...read("node", parseName),
    ...read("cluster", parseName),
    ...read("engine", choices.engine),
    ...read("format", choices.format),
    ...read("listen", parseListen),
    ...read("logLevel", choices.logLevel),
  };
}

function parsePath(text: string): Read<string> {
  return text === "" ? { problem: "expected a path, found nothing" } : { value: resolve(text) };
}

function readPolicies(
  names: readonly string[] | undefined,
  option: string,
  problems: string[],
): Given {
  if (names === undefined) return {};
  if (names.length > 0 && !names.includes("")) return { policy: names.map(resolvePolicy) };
  problems.push(`${option}: expected the name of a policy or a file, found nothing`);
  return {};
}

/** A name stays a name; a file becomes absolute. */
function resolvePolicy(name: string): string {
  return isPolicyFile(name) ? resolve(name) : name;
}

function environmentOptions(env: Environment): Partial<Options> {
  const options: Record<string, string | readonly string[]> = {};
  for (const name of optionNames) {
    const text = nonEmpty(env[environmentName(name)]);
    if (text === undefined) continue;
    options[name] = name === "policy" ? text.split(",").map((each) => each.trim()) : text;
  }
  return options;
}

const optionNames = [
  "root",
  "state",
  "policy",
  "node",
  "cluster",
  "engine",
  "format",
  "listen",
  "logLevel",
] as const satisfies readonly (keyof Options)[];

/** An empty variable in a manifest means: not set. */
function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

function environmentName(option: string): string {
  return `FIM_${dashed(option).replaceAll("-", "_").toUpperCase()}`;
}

async function readConfig(
  file: string,
  readFile: ReadFile,
  problems: string[],
): Promise<FileOptions> {
  const text = await readFile(file).catch((error: unknown) => {
    throw new IntegrityError("CONFIG_INVALID", `configuration ${file}: ${reasonOf(error)}`, {
      hint: "name a YAML file that can be read, or leave --config and FIM_CONFIG out",
      cause: error,
    });
  });
  // Loads YAML and validation only when there is a configuration file, to save memory.
  const { parseConfigFile } = await import("./file.ts");
  const parsed = parseConfigFile(file, text);
  problems.push(...parsed.problems);
  return parsed.options;
}

function defaultNode(problems: string[]): string {
  const name = parseName(hostname());
  if ("value" in name) return name.value;
  problems.push(`--node: not given, and the host's name will not do: ${name.problem}`);
  return "";
}

/** Checks the files that are named in a configuration now, rather than when an alert needs them. */
async function checkedSinks(
  options: FileOptions,
  readFile: ReadFile,
  problems: string[],
): Promise<readonly SinkSettings[]> {
  const { webhooks = [], collector } = options;
  if (collector?.ca !== undefined) await readAuthority(collector.ca, readFile, problems);
  if (webhooks.length === 0) return [];
  const { checkSinks } = await import("./sinks.ts");
  return await checkSinks(webhooks, readFile, problems);
}

function invalid(problems: readonly string[]): IntegrityError {
  const [only, ...more] = problems;
  const message =
    more.length === 0
      ? `configuration: ${only}`
      : `configuration: ${problems.length} problems\n  ${problems.join("\n  ")}`;
  return new IntegrityError("CONFIG_INVALID", message, {
    hint: "options on the command line come before FIM_… in the environment, then the file",
  });
}
