import yargs from "yargs";
import { collectorSettings } from "../collector/settings.ts";
import { collectorCommands, collectorWhat } from "./collector/commands.ts";
import type { Given, Run } from "./collector/commands.ts";
import { printCompletion, withCompletion } from "./completion.ts";
import { strictly, wrongUsage } from "./parser.ts";
import type { Program } from "./parser.ts";
import { requireOnce, withOperands } from "./arguments.ts";
import { exit, fail, failUncaught } from "./fail.ts";
import type { Exit } from "./fail.ts";

const name = "fim-collector";
const program: Program = {
  name,
  what: collectorWhat,
  define: (parser) =>
    withCompletion(collectorCommands(parser, run), (shell) => {
      outcome = printCompletion(program, shell);
    }),
};

/** The exit code of the command, if one ran. */
let outcome: Exit | undefined;

failUncaught(name);
process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<Exit> {
  try {
    const { help, version: asked } = await strictly(yargs([...args]), program, args).parseAsync();
    if (outcome === undefined && help !== true && asked !== true)
      throw wrongUsage(name, "a command is needed");
    return outcome ?? exit.fine;
  } catch (error) {
    return fail(name, error);
  }
}

/** Runs a command with its settings. Each command loads its modules. */
function run(load: () => Promise<Run>, operand?: string) {
  return async (line: Given): Promise<void> => {
    requireOnce(line);
    const given = withOperands(line, operand);
    const command = await load();
    outcome = await command(collectorSettings(given, process.env), given);
  };
}
