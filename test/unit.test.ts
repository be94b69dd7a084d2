import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { missingProgram } from "./helpers/missing.ts";
import { needing } from "./helpers/needs.ts";
import { makePlace } from "./helpers/tree.ts";

const home = join(import.meta.dirname, "..");

for (const name of ["fim-agent", "fim-collector"])
  needing(missingProgram("systemd-analyze"))(
    `systemd finds nothing wrong with the unit of ${name}`,
    (t) => {
      using place = makePlace();
      const unit = place.at(`${name}.service`);
      const text = readFileSync(join(home, `deploy/systemd/${name}.service`), "utf8");
      writeFileSync(unit, text.replace(`/usr/local/bin/${name}`, join(home, "bin", name)));
      const { status, stderr } = spawnSync("systemd-analyze", ["verify", unit], {
        encoding: "utf8",
      });
      t.is(stderr, "");
      t.is(status, 0);
      writeFileSync(unit, text.replace(/^Restart=/m, "Restart=allways-"));
      t.regex(
        spawnSync("systemd-analyze", ["verify", unit], { encoding: "utf8" }).stderr,
        /allways-/,
      );
    },
  );
