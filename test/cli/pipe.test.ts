import test from "ava";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";

const launcher = join(import.meta.dirname, "../../bin/fim-agent");

test("a reader that goes away is no fault of the program: its exit code stands and nothing is said", async (t) => {
  const child = spawn(launcher, ["policy", "show", "--policy", "kubeadm"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.destroy();
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, "close")]);
  t.is(said, "");
  t.is(code, 0);
});
