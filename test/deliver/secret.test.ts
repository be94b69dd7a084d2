import { renameSync, writeFileSync } from "node:fs";
import test from "ava";
import { SecretFile, parseSecret } from "../../src/deliver/secret.ts";
import { makePlace } from "../helpers/tree.ts";

test("a token is one word that a header may hold, and an error never shows it", (t) => {
  t.is(parseSecret(" s3cret \n", "token").token, "s3cret");
  for (const text of [
    "",
    "s3cret two",
    "s3cret\nInjected: header",
    "s3cret\r\n\r\nGET /",
    "s3crét",
    "s3cret".repeat(1000),
  ]) {
    const error = t.throws(() => parseSecret(text, "token"), { code: "KEY_INVALID" }, text);
    t.notRegex(error.message, /s3cr/);
  }
});

test("a token that is replaced is used from then on, a spoilt one is reported and not used", (t) => {
  using place = makePlace();
  const file = place.at("token");
  const put = (text: string): void => {
    writeFileSync(`${file}.new`, text, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  };
  put("one\n");
  const warnings: string[] = [];
  const secret = new SecretFile(file, "token", (problem) => warnings.push(problem));
  const first = secret.id;
  t.is(secret.secret.token, "one");
  put("two\n");
  t.is(secret.secret.token, "two");
  t.not(secret.id, first);
  t.deepEqual(warnings, []);
  put("three words\n");
  t.is(secret.secret.token, "two");
  t.is(secret.secret.token, "two");
  t.deepEqual(warnings, [
    `token ${file}: expected one token on one line, found something else; the token read before stays in use`,
  ]);
});
