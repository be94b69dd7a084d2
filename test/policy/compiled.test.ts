import test from "ava";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { textKey } from "../../src/policy/compiled.ts";
import { policyFiles } from "../../src/policy/load.ts";
import { parsePolicy } from "../../src/policy/parse.ts";

const home = join(import.meta.dirname, "../..");
const built = join(home, "dist/policies.json");

if (existsSync(built)) {
  test("what the build made of each shipped policy is what reading it gives", (t) => {
    const compiled = JSON.parse(readFileSync(built, "utf8")) as Readonly<Record<string, unknown>>;
    const files = [...policyFiles([join(home, "baselines")]).values()];
    t.true(files.length > 1);
    for (const file of files) {
      const text = readFileSync(file, "utf8");
      const read: unknown = JSON.parse(JSON.stringify(parsePolicy(text, file)));
      t.deepEqual(compiled[textKey(text)], read, file);
    }
  });
} else {
  test.skip("what the build made of each shipped policy (npm run build was not run)", () =>
    undefined);
}

test("a text is known by its bytes alone: one letter more, and it is another", (t) => {
  t.not(textKey("name: a"), textKey("name: a "));
  t.is(textKey(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
});
