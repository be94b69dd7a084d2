import test from "ava";
import { execFileSync } from "node:child_process";
import { Buffer } from "node:buffer";
import { decodePath } from "../../../src/core/path.ts";
import { shellWord } from "../../../src/core/text/shell-word.ts";

test("a shell reads a path of any bytes back as one word", (t) => {
  const names = [
    "/plain-1.x",
    "/a b",
    "/it's",
    "/$(id)`id`",
    "/new\nline",
    "/\\x41",
    "/é",
    "/-n *",
  ];
  const bytes = [...names.map((name) => Buffer.from(name)), Buffer.from([0x2f, 0xff, 0x41, 0x27])];
  for (const one of bytes) {
    const script = `printf %s ${shellWord(decodePath(one))}`;
    t.deepEqual(execFileSync("bash", ["-c", script]), one, script);
  }
});
