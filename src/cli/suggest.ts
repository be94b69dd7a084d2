import { nearest } from "../policy/nearest.ts";
import type { Option, Outline } from "./outline.ts";

/**
 * A sentence for words of the command line that no command knows, each with the known word that it may have been:
 * `unknown command "chek", did you mean "check"?`
 */
export function suggest(
  program: Outline,
  args: readonly string[],
  unknown: readonly string[],
): string {
  const { command, options } = commandOf(program, args);
  const isOption = (word: string): boolean =>
    args.some((arg) => arg.startsWith("-") && arg.replace(/^--?/, "").split("=")[0] === word);
  // yargs names "min-sevrity" and "minSevrity" both.
  const words = unknown.filter((word) => isOption(word));
  const [wrong] = args.filter((arg) => unknown.includes(arg));
  const sentences = words.map((word) => {
    const dashes = word.length === 1 ? "-" : "--";
    const known = [...options.map(({ name }) => `--${name}`), "--help", "--version"];
    return `unknown option ${dashes}${word}${nearest(dashes + word, known)}`;
  });
  // The words after a mistyped command are not its mistakes.
  if (wrong !== undefined) sentences.push(unknownWord(command, wrong));
  return sentences.length > 0 ? sentences.join("; ") : `unknown argument ${unknown.join(", ")}`;
}

function unknownWord({ commands }: Outline, word: string): string {
  const names = commands.map(({ name }) => name);
  return names.length > 0
    ? `unknown command ${JSON.stringify(word)}${nearest(word, names)}`
    : `unknown argument ${JSON.stringify(word)}`;
}

interface Reached {
  readonly command: Outline;
  /** Its own and those of the commands before it. */
  readonly options: readonly Option[];
}

/** The command that the words name. */
function commandOf(program: Outline, args: readonly string[]): Reached {
  let command = program;
  const options = [...program.options];
  for (const arg of args) {
    const next = command.commands.find(({ name }) => name === arg);
    if (!next) continue;
    command = next;
    options.push(...next.options);
  }
  return { command, options };
}
