import test from "ava";
import { mutantsOf } from "./mutate.ts";

test("each mutant differs from the source in one operator of one line", (t) => {
  const source = ["// a === b", "const isOne = a === b && c < 2;", "type Two = A | B;"].join("\n");
  const mutants = [...mutantsOf(source)];
  t.deepEqual(
    mutants.map((mutant) => mutant.source.split("\n")[1]),
    [
      "const isOne = a !== b && c < 2;",
      "const isOne = a === b || c < 2;",
      "const isOne = a === b && c <= 2;",
    ],
  );
  t.true(mutants.every(({ line }) => line === 2));
});
