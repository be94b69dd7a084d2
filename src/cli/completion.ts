import type { Argv } from "yargs";
import { engines, formats, logLevels } from "../config/options.ts";
import { exit } from "./fail.ts";
import type { Exit } from "./fail.ts";
import type { Program } from "./parser.ts";
import { outlineOf } from "./outline.ts";
import type { Option, Outline } from "./outline.ts";
import { out } from "./print.ts";

const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

/** Options whose values the settings check, not the command line. */
const settingValues: Readonly<Record<string, readonly string[]>> = {
  engine: engines,
  format: formats,
  "log-level": logLevels,
};

/** Adds `completion SHELL`. */
export function withCompletion(parser: Argv, run: (shell: Shell) => void): Argv {
  return parser.command(
    "completion <shell>",
    "a script that completes commands and options: bash, zsh or fish",
    (args) => args.positional("shell", { choices: shells, demandOption: true }),
    ({ shell }) => run(shell),
  );
}

/** Prints the script for a shell. */
export function printCompletion({ name, what, define }: Program, shell: Shell): Exit {
  out(completionScript(outlineOf(name, what, define), shell));
  return exit.fine;
}

/** A script that completes the program's words, for /usr/share/bash-completion/completions and its like. */
export function completionScript(program: Outline, shell: Shell): string {
  switch (shell) {
    case "bash":
      return bash(program);
    case "zsh":
      return zsh(program);
    case "fish":
      return fish(program);
  }
}

interface Place {
  /** The words of the command, "policy lint"; of the program "". */
  readonly path: string;
  readonly words: readonly string[];
}

/** The words that may follow each command. */
function placesOf(program: Outline): readonly Place[] {
  const common = [...program.options.map(({ name }) => `--${name}`), "--help", "--version"];
  const below = (command: Outline, path: string): readonly Place[] => [
    {
      path,
      words: [
        ...command.commands.map(({ name }) => name),
        ...(command === program ? [] : command.options.map(({ name }) => `--${name}`)),
        ...common,
      ],
    },
    ...command.commands.flatMap((one) =>
      below(one, path === "" ? one.name : `${path} ${one.name}`),
    ),
  ];
  return below(program, "");
}

function optionsOf(command: Outline): readonly Option[] {
  return [...command.options, ...command.commands.flatMap(optionsOf)];
}

/** The values of each option that has few. */
function valuesOf(
  program: Outline,
): readonly (readonly [name: string, values: readonly string[]])[] {
  const known = optionsOf(program).flatMap(({ name, values = settingValues[name] }) =>
    values ? [[name, values] as const] : [],
  );
  return [...new Map(known)];
}

/** Code of a shell that offers words, and files. */
interface Offer {
  readonly words: (words: readonly string[]) => string;
  readonly files: string;
}

/** Case branches: the values after an option, files after another option, else the words of the command. */
function branches(program: Outline, offer: Offer): string {
  const values = valuesOf(program);
  const others = optionsOf(program)
    .filter(({ name, hasValue }) => hasValue && !values.some(([one]) => one === name))
    .map(({ name }) => `--${name}`);
  return [
    `  case $before in`,
    ...values.map(([name, list]) => `    --${name}) ${offer.words(list)}; return ;;`),
    `    ${[...new Set(others)].join("|")}) ${offer.files}; return ;;`,
    `  esac`,
    `  case $command in`,
    ...placesOf(program).map(({ path, words }) => `    "${path}") ${offer.words(words)} ;;`),
    `  esac`,
  ].join("\n");
}

/** Shell code that finds the command among the words before the one that is completed. */
function findCommand(program: Outline, words: string): string {
  const paths = placesOf(program)
    .map(({ path }) => `"${path}"`)
    .filter((path) => path !== '""');
  return `  local word command=
  for word in ${words}; do
    case "\${command:+$command }$word" in
      ${paths.join("|")}) command="\${command:+$command }$word" ;;
    esac
  done`;
}

const bashOffer: Offer = {
  words: (words) => `COMPREPLY=($(compgen -W "${words.join(" ")}" -- "$current"))`,
  files: `COMPREPLY=($(compgen -f -- "$current"))`,
};

function bash(program: Outline): string {
  const name = functionOf(program);
  return `# bash completion of ${program.name}
${name}() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]}
${findCommand(program, '"${COMP_WORDS[@]:1:COMP_CWORD-1}"')}
${branches(program, bashOffer)}
}
complete -o default -F ${name} ${program.name}
`;
}

const zshOffer: Offer = { words: (words) => `compadd -- ${words.join(" ")}`, files: "_files" };

function zsh(program: Outline): string {
  const name = functionOf(program);
  return `#compdef ${program.name}
# zsh completion of ${program.name}
${name}() {
  local before=\${words[CURRENT-1]}
${findCommand(program, "${words[2,CURRENT-1]}")}
${branches(program, zshOffer)}
  [[ $PREFIX == -* ]] || _files
}
if [[ $funcstack[1] == ${name} ]]; then ${name} "$@"; else compdef ${name} ${program.name}; fi
`;
}

function fish(program: Outline): string {
  const lines = [
    ...program.options.map((one) => fishOption(program.name, one, "")),
    ...program.commands.map((one) =>
      fishLine(program.name, {
        when: "__fish_use_subcommand",
        what: `-f -a ${one.name}`,
        describe: one.describe,
      }),
    ),
    ...program.commands.flatMap((command) => {
      const seen = `__fish_seen_subcommand_from ${command.name}`;
      const open = `${seen}; and not __fish_seen_subcommand_from ${command.commands
        .map((one) => one.name)
        .join(" ")}`;
      return [
        ...command.commands.map((one) =>
          fishLine(program.name, { when: open, what: `-f -a ${one.name}`, describe: one.describe }),
        ),
        ...optionsOf(command).map((one) => fishOption(program.name, one, seen)),
      ];
    }),
  ];
  return `# fish completion of ${program.name}\n${lines.join("\n")}\n`;
}

function fishOption(program: string, option: Option, when: string): string {
  const { name, describe, hasValue, values = settingValues[name] } = option;
  const value = values ? ` -x -a "${values.join(" ")}"` : hasValue ? " -r" : "";
  return fishLine(program, { when, what: `-l ${name}${value}`, describe });
}

interface FishLine {
  /** Absent: always. */
  readonly when?: string;
  readonly what: string;
  readonly describe: string;
}

function fishLine(program: string, { when = "", what, describe }: FishLine): string {
  const condition = when === "" ? "" : ` -n "${when}"`;
  return `complete -c ${program}${condition} ${what} -d '${describe.replaceAll("'", "\\'")}'`;
}

function functionOf({ name }: Outline): string {
  return `_${name.replaceAll("-", "_")}`;
}
