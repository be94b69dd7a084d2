import test from "ava";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { takeOver } from "../../../src/cli/agent/handover.ts";
import { makePlace } from "../../helpers/tree.ts";

const handover = join(import.meta.dirname, "../../../src/cli/agent/handover.ts");

test("another program goes on in the same process, with a value larger than an environment may be", async (t) => {
  using place = makePlace();
  const value = { text: "ä".repeat(300_000), numbers: [1, 2, 3] };
  const second = place.at("second.ts");
  writeFileSync(
    second,
    `import { takeOver } from ${JSON.stringify(handover)};
     const value = takeOver() as { text: string; numbers: number[] };
     const again = takeOver();
     const { pid, argv, execArgv, env } = process;
     console.log(JSON.stringify({
       pid, args: argv.slice(2), execArgv, again, left: env["FIM_HANDOVER"],
       length: value.text.length, numbers: value.numbers,
     }));`,
  );
  const first = place.at("first.ts");
  writeFileSync(
    first,
    `import { handOver } from ${JSON.stringify(handover)};
     import { pathToFileURL } from "node:url";
     handOver(pathToFileURL(${JSON.stringify(second)}), ${JSON.stringify(value)});`,
  );
  const flags = ["--disable-warning=ExperimentalWarning", "--no-maglev"];
  const child = spawn(process.execPath, [...flags, first, "watch", "--root", "/x"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [reported, [code]] = await Promise.all([text(child.stdout), once(child, "close")]);
  t.is(code, 0);
  t.deepEqual(JSON.parse(reported), {
    pid: child.pid,
    args: ["watch", "--root", "/x"],
    execArgv: flags,
    length: value.text.length,
    numbers: value.numbers,
  });
});

test("a program that was started by itself has nothing to take over", (t) => {
  t.is(takeOver(), undefined);
});
