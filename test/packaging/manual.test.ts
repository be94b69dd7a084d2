import test from "ava";
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { manualOf, programs } from "../../packaging/manual.ts";
import { missingProgram } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";

const home = join(import.meta.dirname, "../..");

for (const program of programs) {
  const text = manualOf(program, 1_764_000_000);

  test(`the manual of ${program.name} names every command and option that --help shows`, (t) => {
    const run = [join(home, "bin", program.name), "--help"] as const;
    const help = execFileSync(run[0], [run[1]], { encoding: "utf8" });
    const commands = [...help.matchAll(/^ +fim-\w+ (\w+)/gm)].map(([, name]) => name);
    const options = [...help.matchAll(/^ +--([\w-]+)/gm)].map(([, name]) => name);
    t.true(commands.length > 7 && options.length > 6);
    for (const name of commands) t.regex(text, new RegExp(`^\\.It Ic ${name}\\b`, "m"));
    for (const name of options.filter((one) => one !== "help" && one !== "version"))
      t.true(text.includes(`.It Fl \\-${name}`), name);
  });

  needing(missingProgram("mandoc"))(
    `mandoc finds nothing wrong in the manual of ${program.name}`,
    (t) => {
      const { stdout, stderr } = spawnSync("mandoc", ["-T", "lint", "-W", "warning"], {
        input: text,
        encoding: "utf8",
      });
      t.is(`${stdout}${stderr}`, "");
    },
  );
}
