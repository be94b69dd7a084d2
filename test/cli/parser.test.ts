import test from "ava";
import yargs from "yargs";
import { strictly } from "../../src/cli/parser.ts";

const parse = async (...args: readonly string[]): Promise<unknown> =>
  await strictly(
    yargs([...args]).command("check", "compare", (one) => one),
    "prog",
    "what",
  ).parseAsync();

test("a mistyped command is named, and the program's name is in the hint", async (t) => {
  const error = await t.throwsAsync(parse("chek"));
  t.like(error, { message: "Unknown argument: chek", code: "USAGE", hint: "see prog --help" });
});

test("what is no command, and an option that no command has, are refused", async (t) => {
  await t.throwsAsync(parse("frobnicate"), { message: /Unknown argument: frobnicate/ });
  await t.throwsAsync(parse("check", "--no-root"), { message: /Unknown argument/ });
  await t.throwsAsync(parse(), { message: /a command is needed/ });
});
