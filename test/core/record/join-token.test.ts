import test from "ava";
import { parseJoinToken, printJoinToken } from "../../../src/core/record/join-token.ts";

test("a token of another kind, and one with no certificate in it, is its own secret", (t) => {
  for (const text of ["fimjoin_abc", "a.b.c", "fimjoin_abc.AAAA", "", "fimjoin_abc."])
    t.deepEqual(parseJoinToken(text), { secret: text });
  t.is(printJoinToken("fimjoin_abc", undefined), "fimjoin_abc");
});
