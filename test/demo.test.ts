import test from "ava";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { missingProgram } from "./helpers/missing.ts";

const demo = join(import.meta.dirname, "../demo/demo.ts");
const missing = missingProgram("openssl");
const title = "the demo plays ten attacks, and its collector sees ten of ten";

(missing === undefined ? test : test.skip)(missing ? `${title} (${missing})` : title, async (t) => {
  const child = spawn(process.execPath, [demo], { stdio: ["ignore", "pipe", "inherit"] });
  const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, "close")]);
  t.is(code, 0, stdout);
  t.regex(stdout, /^collector: http:\/\/127\.0\.0\.1:\d+\/$/m);
  t.regex(stdout, /^10 of 10 seen at the collector$/m);
});
