import test from "ava";
import { hashPassword, passwordMatches } from "../../src/collector/password.ts";

test("a password matches its own hash alone, and each hash is salted", async (t) => {
  const stored = await hashPassword("correct horse battery");
  t.true(await passwordMatches("correct horse battery", stored));
  t.false(await passwordMatches("correct horse batter", stored));
  t.not(await hashPassword("correct horse battery"), stored);
});

test("a user without a password, and none, match nothing", async (t) => {
  t.false(await passwordMatches("", undefined));
  t.false(await passwordMatches("", "scrypt$$"));
});
