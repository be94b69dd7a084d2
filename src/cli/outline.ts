import type { Argv } from "yargs";

/** An option as `--help` shows it. */
export interface Option {
  readonly name: string;
  readonly describe: string;
  /** It takes a value. */
  readonly hasValue: boolean;
  /** All values that it takes, where they are few. */
  readonly values?: readonly string[];
  readonly default?: string;
}

/** A command, or a whole program. */
export interface Outline {
  readonly name: string;
  /** Its operands, as `--help` shows them: "[path..]". */
  readonly operands: string;
  readonly describe: string;
  readonly options: readonly Option[];
  readonly commands: readonly Outline[];
}

type Define = (parser: Argv) => unknown;

interface OptionDefinition {
  readonly type?: string;
  readonly describe?: string;
  readonly choices?: readonly string[];
  readonly default?: string;
  readonly defaultDescription?: string;
}

/** The options and commands that a function defines with yargs: for completion, manual pages and "did you mean". */
export function outlineOf(name: string, describe: string, define: Define): Outline {
  return draw({ name, operands: "", describe }, define);
}

function draw(head: Pick<Outline, "name" | "operands" | "describe">, define: Define): Outline {
  const recorder = new Recorder();
  // Commands are defined with these methods alone.
  define(recorder as unknown as Argv);
  return { ...head, options: recorder.options, commands: recorder.commands };
}

class Recorder {
  readonly options: Option[] = [];
  readonly commands: Outline[] = [];

  option(name: string, definition: OptionDefinition): this {
    const { type, describe = "", choices, defaultDescription } = definition;
    const byDefault = defaultDescription ?? definition.default;
    this.options.push({
      name,
      describe,
      hasValue: type !== "boolean",
      ...(choices && { values: choices }),
      ...(byDefault !== undefined && { default: byDefault }),
    });
    return this;
  }

  command(usage: string, describe: string, define: Define = () => undefined): this {
    const [name = "", ...operands] = usage.split(" ");
    this.commands.push(draw({ name, operands: operands.join(" "), describe }, define));
    return this;
  }

  positional(): this {
    return this;
  }

  demandCommand(): this {
    return this;
  }
}
