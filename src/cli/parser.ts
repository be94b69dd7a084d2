import type { Argv } from "yargs";
import { version } from "../node/version.ts";
import { IntegrityError } from "../core/error.ts";
import { outlineOf } from "./outline.ts";
import { suggest } from "./suggest.ts";

/**
 * "--no-root" and "--root.x" are mistakes, not other forms of --root. The words after "--" are kept apart, because
 * otherwise no command would see them.
 */
const parsing = { "boolean-negation": false, "dot-notation": false, "populate--": true } as const;

/** A program as its command line sees it. */
export interface Program {
  readonly name: string;
  /** In a sentence. */
  readonly what: string;
  readonly define: (parser: Argv) => Argv;
}

/** A program's commands, parsed strictly: what yargs refuses is an error of ours, and it never ends the process. */
export function strictly(parser: Argv, program: Program, args: readonly string[]): Argv {
  const { name, what, define } = program;
  return define(parser)
    .scriptName(name)
    .usage(`$0 COMMAND [OPTIONS]\n\n${what}`)
    .demandCommand(1, "a command is needed")
    .strict()
    .parserConfiguration(parsing)
    .version(version)
    .help()
    .wrap(Math.min(100, process.stdout.columns ?? 100))
    .exitProcess(false)
    .fail((message, error) => {
      // yargs throws YError for what it refuses while parsing.
      if (error && error.name !== "YError") throw error;
      const [, unknown] = /^Unknown (?:arguments?|commands?): (.*)$/.exec(message) ?? [];
      throw wrongUsage(
        name,
        unknown === undefined
          ? inOurWords(message)
          : suggest(outlineOf(name, what, define), args, unknown.split(", ")),
      );
    });
}

/** What yargs says of a missing argument or a value that is no choice. */
function inOurWords(message: string): string {
  if (message.startsWith("Not enough non-option arguments")) return "an argument is missing";
  const [, missing] = /^Missing required argument: (\S+)$/.exec(message) ?? [];
  if (missing !== undefined) return `--${missing} is needed`;
  const [, option, found, choices = ""] =
    /^Invalid values:\s+Argument: (\S+), Given: (.*), Choices: (.*)$/.exec(message) ?? [];
  return option === undefined
    ? message.split("\n").join("; ")
    : `${option}: expected one of ${choices.replaceAll('"', "")}, found ${found}`;
}

export function wrongUsage(program: string, message: string): IntegrityError {
  return new IntegrityError("USAGE", message, { hint: `see ${program} --help` });
}
