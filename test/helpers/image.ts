import type { ExecutionContext } from "ava";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { freePort, get } from "./http.ts";
import { until } from "./wait.ts";

const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
/** The user of the image's collector. */
const nonroot = "65532:65532";

/** A command line that runs a program of an image in it, with nothing else but /proc. */
function commandIn(image: string, user: string, command: readonly string[]): readonly string[] {
  const inside = 'user=$1; shift; mkdir -p "$1/proc"; mount --bind /proc "$1/proc"';
  const line = `${inside}; exec chroot --userspec="$user" "$@"`;
  return ["--mount", "sh", "-ec", line, "sh", user, image, ...command];
}

/** Runs a program in the image whose root is this directory, as root. */
export function runIn(image: string, ...command: readonly string[]) {
  return spawnSync("unshare", commandIn(image, "0:0", command), { encoding: "utf8", env });
}

/** The agent captures a baseline below this root of the image, and finds what changed then. */
export function tryAgent(t: ExecutionContext, image: string, root: string): void {
  const agent = (...args: readonly string[]) =>
    runIn(image, "/usr/local/bin/fim-agent", ...args, "--root", root, "--policy", "linux");
  const file = join(image, root, "etc/passwd");
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, "root:x:0:0::/root:/bin/sh\n");
  const baseline = agent("baseline");
  t.regex(baseline.stdout, /^baseline: \d+ paths, counter 1, policy linux/, baseline.stderr);
  writeFileSync(file, "evil:x:0:0::/root:/bin/sh\n");
  const check = agent("check");
  t.is(check.status, 1, check.stderr);
  t.regex(check.stdout, /\/etc\/passwd/);
}

/** The collector makes a join token and answers, as the user that it has in the image. */
export async function tryCollector(t: ExecutionContext, image: string): Promise<void> {
  const address = `127.0.0.1:${await freePort()}`;
  const commandOf = (...args: readonly string[]) =>
    commandIn(image, nonroot, ["/usr/local/bin/fim-collector", ...args, "--listen", address]);
  const token = spawnSync("unshare", commandOf("token", "--node", "cp-1"), {
    encoding: "utf8",
    env,
  });
  t.is(token.status, 0, token.stderr);
  t.regex(token.stdout, /^\S{40,}\n$/);
  const server = spawn("unshare", commandOf("serve"), { env, stdio: "ignore" });
  const ended = once(server, "exit");
  try {
    const url = `http://${address}/healthz`;
    // An emulator on a busy machine takes minutes.
    t.is((await until(async () => await get(url).catch(() => undefined), 900_000)).status, 200);
  } finally {
    server.kill("SIGTERM");
  }
  t.deepEqual(await ended, [0, null]);
}
