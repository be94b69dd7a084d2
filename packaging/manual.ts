import { agentCommands, agentWhat } from "../src/cli/agent/commands.ts";
import { collectorCommands, collectorWhat } from "../src/cli/collector/commands.ts";
import { withCompletion } from "../src/cli/completion.ts";
import { exit } from "../src/cli/fail.ts";
import { outlineOf } from "../src/cli/outline.ts";
import type { Option, Outline } from "../src/cli/outline.ts";

/** The programs as their command lines define them, so that completion and manual say what `--help` says. */
export const programs: readonly Outline[] = [
  outlineOf("fim-agent", agentWhat, (parser) =>
    withCompletion(
      agentCommands(parser, () => async () => await Promise.resolve()),
      () => undefined,
    ),
  ),
  outlineOf("fim-collector", collectorWhat, (parser) =>
    withCompletion(
      collectorCommands(parser, () => async () => await Promise.resolve()),
      () => undefined,
    ),
  ),
];

const meanings: Readonly<Record<keyof typeof exit, string>> = {
  fine: "fine, and no drift",
  drift: "drift, or a failed check of audit or verify",
  usage: "wrong usage, configuration or policy",
  untrusted: "the baseline is missing, there already, not trusted, or another node's",
  incomplete: "something could not be read or compared, and is listed",
  bug: "a bug",
};

const files: Readonly<Record<string, readonly (readonly [path: string, what: string])[]>> = {
  "fim-agent": [
    ["/etc/fim-agent/config.yaml", "Settings, read by every command."],
    ["/var/lib/fim-agent", "Key, baseline, last seen state and undelivered alerts."],
  ],
  "fim-collector": [
    ["/etc/fim-collector/environment", "Settings of the service."],
    ["/var/lib/fim-collector", "Key, certificate and database."],
  ],
};

/**
 * A manual page of section 8, mdoc(7).
 *
 * @param at its date, seconds since 1970
 */
export function manualOf(program: Outline, at: number): string {
  const prefix = program.name === "fim-agent" ? "FIM_" : "FIM_COLLECTOR_";
  const other = programs.find(({ name }) => name !== program.name)?.name ?? "";
  const lines = [
    `.Dd ${new Date(at * 1000).toLocaleDateString("en-US", { dateStyle: "long", timeZone: "UTC" })}`,
    `.Dt ${program.name.toUpperCase()} 8`,
    ".Os",
    ".Sh NAME",
    `.Nm ${program.name}`,
    `.Nd ${escaped(program.describe)}`,
    ".Sh SYNOPSIS",
    ".Nm",
    ".Ar command",
    ".Op Ar options",
    ".Sh DESCRIPTION",
    "The commands are:",
    ...listOf(program.commands.flatMap((one) => commandItems(one, ""))),
    ".Sh OPTIONS",
    "Every command takes these:",
    ...listOf(program.options.flatMap(optionItem)),
    ".Sh ENVIRONMENT",
    `Each option is also read as`,
    `.Ev ${prefix}OPTION ,`,
    "in upper case and with underscores.",
    "The command line comes first.",
    ".Sh FILES",
    ...listOf((files[program.name] ?? []).flatMap(([path, what]) => [`.It Pa ${path}`, what])),
    ".Sh EXIT STATUS",
    ...listOf(
      Object.entries(exit).flatMap(([name, code]) => [
        `.It ${code}`,
        `${meanings[name as keyof typeof exit]}.`,
      ]),
    ),
    ".Sh SEE ALSO",
    `.Xr ${other} 8`,
  ];
  return `${lines.join("\n")}\n`;
}

function listOf(items: readonly string[]): readonly string[] {
  return [".Bl -tag -width Ds", ...items, ".El"];
}

/** A command with its options, then the commands below it. */
function commandItems(command: Outline, before: string): readonly string[] {
  const name = before === "" ? command.name : `${before} ${command.name}`;
  const operands = command.operands === "" ? "" : ` Ar ${escaped(command.operands)}`;
  const own = [
    `.It Ic ${name}${operands}`,
    sentence(command.describe),
    ...(command.options.length > 0 ? listOf(command.options.flatMap(optionItem)) : []),
  ];
  const below = command.commands.flatMap((one) => commandItems(one, name));
  return command.commands.length > 0 ? below : own;
}

function optionItem(option: Option): readonly string[] {
  const value = option.hasValue ? ` Ar ${option.values?.join(" | ") ?? "value"}` : "";
  const byDefault = option.default === undefined ? [] : [`Default: ${escaped(option.default)}.`];
  return [`.It Fl \\-${escaped(option.name)}${value}`, sentence(option.describe), ...byDefault];
}

function sentence(text: string): string {
  return escaped(`${text}.`);
}

/** A leading dot or quote would be a request, and a backslash an escape. */
function escaped(text: string): string {
  return text.replaceAll("\\", "\\e").replace(/^(?=[.'])/, "\\&");
}
