import test from "ava";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readJoinToken } from "../../../src/deliver/collector/join-token.ts";

const dir = mkdtempSync(join(tmpdir(), "fim-token-"));
test.after.always(() => rmSync(dir, { recursive: true }));

test("a join token is a file, or in a directory the file with the node's name", (t) => {
  const file = join(dir, "token");
  writeFileSync(file, "fimjoin_a\n");
  t.is(readJoinToken(file, "cp-1"), "fimjoin_a");
  const directory = join(dir, "tokens");
  mkdirSync(directory);
  writeFileSync(join(directory, "cp-1"), "fimjoin_b\n");
  t.is(readJoinToken(directory, "cp-1"), "fimjoin_b");
  t.like(readJoinToken(directory, "cp-2"), { kind: "rejected" });
});

test("without a setting there is no token; a missing or a huge one is rejected", (t) => {
  t.is(readJoinToken(undefined, "cp-1"), "");
  t.deepEqual(readJoinToken(join(dir, "none"), "cp-1"), {
    kind: "rejected",
    why: `join token ${join(dir, "none")}: cannot be read (ENOENT)`,
  });
  const huge = join(dir, "huge");
  writeFileSync(huge, "x".repeat(16 * 1024 + 1));
  t.like(readJoinToken(huge, "cp-1"), { kind: "rejected", why: `join token ${huge}: too long` });
});
