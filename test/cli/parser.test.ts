import test from "ava";
import yargs from "yargs";
import type { Argv } from "yargs";
import { strictly } from "../../src/cli/parser.ts";

const define = (parser: Argv): Argv =>
  parser
    .command("check", "compare", (one) =>
      one.option("min-severity", { type: "string", choices: ["low", "high"] }),
    )
    .command("token <file>", "print one", (one) => one.option("node", { demandOption: true }))
    .command("policy", "policies", (one) => one.command("lint", "is it valid").demandCommand(1));

const parse = async (...args: readonly string[]): Promise<unknown> =>
  await strictly(yargs([...args]), { name: "prog", what: "what", define }, args).parseAsync();

test("a mistyped command is named with the nearest one, and the program's name is in the hint", async (t) => {
  t.like(await t.throwsAsync(parse("chek")), {
    message: 'unknown command "chek", did you mean "check"?',
    code: "USAGE",
    hint: "see prog --help",
  });
  t.like(await t.throwsAsync(parse("policy", "lnt")), {
    message: 'unknown command "lnt", did you mean "lint"?',
  });
});

test("a mistyped option is named once, with the nearest one of its command", async (t) => {
  t.like(await t.throwsAsync(parse("check", "--min-sevrity", "high")), {
    message: 'unknown option --min-sevrity, did you mean "--min-severity"?',
  });
  t.like(await t.throwsAsync(parse("check", "--hlp")), {
    message: 'unknown option --hlp, did you mean "--help"?',
  });
});

test("each mistake of a line is named", async (t) => {
  t.like(await t.throwsAsync(parse("polcy", "--min-sevrity")), {
    message: 'unknown option --min-sevrity; unknown command "polcy", did you mean "policy"?',
  });
});

test("what is no command, and an option that no command has, are refused", async (t) => {
  t.like(await t.throwsAsync(parse("frobnicate")), { message: 'unknown command "frobnicate"' });
  t.like(await t.throwsAsync(parse("check", "--no-root")), { message: "unknown option --no-root" });
  t.like(await t.throwsAsync(parse("check", "more")), { message: 'unknown argument "more"' });
  await t.throwsAsync(parse(), { message: /a command is needed/ });
});

test("a missing argument and a value that is no choice are refused in a sentence", async (t) => {
  t.like(await t.throwsAsync(parse("check", "--min-severity", "hgh")), {
    message: 'min-severity: expected one of low, high, found "hgh"',
  });
  t.like(await t.throwsAsync(parse("token", "f")), { message: "--node is needed" });
  t.like(await t.throwsAsync(parse("token", "--node", "a")), { message: "an argument is missing" });
});
