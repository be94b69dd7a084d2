import test from "ava";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { attacksPage, titlesOf } from "./attacks.ts";

test("docs/attacks.md lists the tests as they are now (node test/attacks.ts > docs/attacks.md)", (t) => {
  t.is(readFileSync(join(import.meta.dirname, "../docs/attacks.md"), "utf8"), attacksPage());
});

test("titles are found however a test is declared, and in tables of cases", (t) => {
  const source = [
    'test("one is found", (t) => {',
    "test.serial(",
    '  "two is found",',
    "mounting(`with ${engine}, three is found${why}`, (t) => {",
    'needing(missing("x"), "serial")(',
    '  "four is found",',
    "const cases = [{",
    '    title: "five is found",',
    '  execFileSync("no title of one", []);',
    "test(`${six} is made of parts`, (t) => {",
  ];
  t.deepEqual(titlesOf(source.join("\n")), [
    "one is found",
    "two is found",
    "three is found",
    "four is found",
    "five is found",
  ]);
});
