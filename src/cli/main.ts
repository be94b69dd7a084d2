import { loadSettings } from "../config/load.ts";
import { IntegrityError } from "../core/error.ts";
import { agentCommands, agentWhat, loads } from "./agent/commands.ts";
import type { Run } from "./agent/commands.ts";
import { exit, fail } from "./fail.ts";
import type { Exit } from "./fail.ts";
import { readText } from "./files.ts";
import { requireOnce, withBarePolicy, withOperands } from "./arguments.ts";
import type { Program } from "./parser.ts";
import { readPlain } from "./fast-args.ts";
import type { Given } from "./fast-args.ts";

const name = "fim-agent";

/** The exit code of the command, if one ran. */
let outcome: Exit | undefined;

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<Exit> {
  try {
    requireDirectory();
    const plain = readPlain(args);
    if (plain) await run(loads[plain.command])(plain.given);
    else await runUsual(args);
    return outcome ?? exit.fine;
  } catch (error) {
    return fail(name, error);
  }
}

/** What `readPlain` leaves to yargs. */
async function runUsual(args: readonly string[]): Promise<void> {
  const { default: yargs } = await import("yargs");
  const { strictly, wrongUsage } = await import("./parser.ts");
  const { printCompletion, withCompletion } = await import("./completion.ts");
  const program: Program = {
    name,
    what: agentWhat,
    define: (parser) =>
      withCompletion(agentCommands(parser, run), (shell) => {
        outcome = printCompletion(program, shell);
      }),
  };
  const words = withBarePolicy(args);
  const { help, version: asked } = await strictly(yargs(words), program, words).parseAsync();
  // yargs counts the words after "--" as a command but does not run one.
  if (outcome === undefined && help !== true && asked !== true)
    throw wrongUsage(name, 'a command is needed before "--"');
}

/** In a removed directory relative paths have no meaning, and no thread can start. */
function requireDirectory(): void {
  try {
    process.cwd();
  } catch (cause) {
    throw new IntegrityError("USAGE", "the directory that this was started in is gone", {
      hint: "start it from one that is there, such as /",
      cause,
    });
  }
}

/**
 * Runs a command with its settings. Each command loads its modules. The operand's name is written as yargs writes it:
 * "path" for one, "path.." for several.
 */
function run(load: () => Promise<Run>, operand?: string) {
  return async (line: Given): Promise<void> => {
    requireOnce(line);
    const given = withOperands(line, operand);
    const command = await load();
    const settings = await loadSettings(given, process.env, readText);
    outcome = await command(settings, given);
  };
}
