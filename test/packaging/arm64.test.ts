import { execFile, execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { version } from "../../src/node/version.ts";
import { runIn, tryAgent, tryCollector } from "../helpers/image.ts";
import { missingProgram, mountMissing, rootMissing } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";

const home = join(import.meta.dirname, "../..");

/** Names an image with Node for arm64. Under an emulator the build takes many minutes, so it runs on demand. */
const base = process.env["FIM_ARM64_IMAGE"];

function missing(): string | undefined {
  if (base === undefined) return "FIM_ARM64_IMAGE names no image with Node for arm64";
  if (process.arch !== "arm64" && !existsSync("/proc/sys/fs/binfmt_misc/qemu-aarch64"))
    return "no emulator: apt-get install qemu-user-static binfmt-support; update-binfmts --enable qemu-aarch64";
  const { status } = spawnSync("buildah", ["inspect", "--type", "image", base]);
  return status === 0 ? undefined : `${base} is not in the local store`;
}

const reason = rootMissing ?? mountMissing() ?? missingProgram("buildah") ?? missing();

function buildah(...words: readonly string[]): string {
  return execFileSync("buildah", words, { encoding: "utf8" }).trim();
}

needing(reason, "serial")("npm run image --arch arm64 builds an image that runs", async (t) => {
  t.timeout(7_200_000);
  const name = "localhost/fim-agent:test-arm64";
  const make = [join(home, "packaging/image.ts"), "--arch", "arm64", name];
  await promisify(execFile)(process.execPath, make, {
    env: { ...process.env, NODE_IMAGE: base },
    maxBuffer: 2 ** 26,
  });
  try {
    const { OCIv1 } = JSON.parse(buildah("inspect", "--type", "image", name)) as {
      readonly OCIv1: { readonly architecture: string };
    };
    t.is(OCIv1.architecture, "arm64");
    const container = buildah("from", "--arch", "arm64", name);
    try {
      const image = buildah("mount", container);
      const node = runIn(image, "/usr/local/bin/node", "--print", "process.arch");
      t.is(node.stdout, "arm64\n", node.stderr);
      t.is(runIn(image, "/usr/local/bin/fim-agent", "--version").stdout, `${version}\n`);
      // The whole image is the root: an emulator may lack openat2, without which no other root is safe.
      tryAgent(t, image, "/");
      const doctor = runIn(image, "/usr/local/bin/fim-agent", "doctor", "--policy", "linux");
      t.is(doctor.status, 0, doctor.stderr);
      await tryCollector(t, image);
    } finally {
      buildah("rm", container);
    }
  } finally {
    buildah("rmi", name);
  }
});
