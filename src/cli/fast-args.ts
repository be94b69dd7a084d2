import { parseArgs } from "node:util";

/** The command line's values, by the names of the settings. */
export type Given = Readonly<Record<string, unknown>>;

const text = { type: "string" } as const;
const options = {
  config: text,
  root: text,
  state: text,
  policy: { ...text, multiple: true },
  node: text,
  cluster: text,
  engine: text,
  format: text,
  listen: text,
  "log-level": text,
  reason: text,
  replace: { type: "boolean" },
} as const;

/** Options that each command takes beyond the common ones. */
const commands = {
  baseline: { options: ["reason", "replace"], paths: false },
  check: { options: [], paths: true },
  watch: { options: [], paths: false },
} as const;
export type PlainCommand = keyof typeof commands;

/**
 * Reads the usual command line without yargs, which costs a tenth of a second and 10 MB. Undefined: anything unusual
 * (help, another command, a mistake), which yargs handles.
 */
export function readPlain(
  args: readonly string[],
): { readonly command: PlainCommand; readonly given: Given } | undefined {
  try {
    const { values, positionals, tokens } = parseArgs({
      args: [...args],
      options,
      allowPositionals: true,
      tokens: true,
    });
    const [command, ...path] = positionals;
    if (!isPlain(command) || (path.length > 0 && !commands[command].paths)) return undefined;
    const names = tokens.flatMap((token) => (token.kind === "option" ? [token.name] : []));
    const takes: readonly string[] = commands[command].options;
    const isKnown = names.every((name) => takes.includes(name) || !own.has(name));
    const isOnce = names.every((name, at) => name === "policy" || names.indexOf(name) === at);
    const isFirst = tokens.find(({ kind }) => kind !== "option")?.kind === "positional";
    if (!isKnown || !isOnce || !isFirst) return undefined;
    const { "log-level": logLevel, ...rest } = values;
    return { command, given: { ...rest, ...(logLevel !== undefined && { logLevel }), path } };
  } catch {
    return undefined;
  }
}

/** Options that only some commands take. */
const own: ReadonlySet<string> = new Set(["reason", "replace"]);

function isPlain(command: string | undefined): command is PlainCommand {
  return command !== undefined && Object.hasOwn(commands, command);
}
