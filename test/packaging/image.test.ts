import test from "ava";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  globSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, extname, join } from "node:path";
import { launcherFlags } from "../../src/agent/self/launcher-flags.ts";
import { version } from "../../src/node/version.ts";
import { runIn, tryAgent, tryCollector } from "../helpers/image.ts";
import { missingProgram, mountMissing, rootMissing } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";

const home = join(import.meta.dirname, "../..");
const megabyte = 1_000_000;

const made: string[] = [];

function makeRoot(): string {
  const dir = mkdtempSync(join(tmpdir(), "fim-image-"));
  made.push(dir);
  execFileSync(process.execPath, [join(home, "packaging/image-root.ts"), dir], {
    env: { ...process.env, SOURCE_DATE_EPOCH: "1700000000" },
  });
  return dir;
}

test.after.always(() => {
  for (const dir of made) rmSync(dir, { recursive: true, force: true });
});

/** Each entry below a directory: type, mode, owner, time, size, content. */
function entriesOf(dir: string): ReadonlyMap<string, string> {
  return new Map(
    globSync("**", { cwd: dir })
      .filter((file) => file !== ".")
      .toSorted()
      .map((file) => {
        const path = join(dir, file);
        const at = lstatSync(path);
        const content = at.isFile()
          ? createHash("sha256").update(readFileSync(path)).digest("hex")
          : at.isSymbolicLink()
            ? readlinkSync(path)
            : "";
        return [file, `${at.mode.toString(8)} ${at.uid}:${at.gid} ${at.mtimeMs} ${content}`];
      }),
  );
}

const mounting = needing(rootMissing ?? mountMissing(), "serial");

mounting("the image's content is the same bytes each time, and below 150 MB", (t) => {
  const first = makeRoot();
  const entries = entriesOf(first);
  t.true(entries.size > 500);
  t.deepEqual(entriesOf(makeRoot()), entries);
  const files = [...entries.keys()]
    .map((file) => lstatSync(join(first, file)))
    .filter((at) => !at.isDirectory());
  t.true(files.reduce((sum, { size }) => sum + size, 0) < 150 * megabyte);
  const names = new Set([...entries.keys()].map((file) => basename(file)));
  for (const name of ["sh", "bash", "npm", "npx", "apt", "dpkg"]) t.false(names.has(name), name);
});

mounting("in the image both programs work without a shell, native modules included", async (t) => {
  t.timeout(120_000);
  const root = made[0] ?? makeRoot();
  tryAgent(t, root, "/host");
  await tryCollector(t, root);
});

const { dependencies } = JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as {
  readonly dependencies: Readonly<Record<string, string>>;
};

mounting("the image has each module once, for one machine, and each package loads", (t) => {
  const root = made[0] ?? makeRoot();
  const program = join(root, "usr/lib/fim-agent");
  const modules = globSync("node_modules/**/*.{js,cjs,mjs}", { cwd: program });
  const names = modules.map((file) => file.slice(0, -extname(file).length));
  t.deepEqual(
    names.filter((name, i) => names.indexOf(name) !== i),
    [],
  );
  const native = globSync("node_modules/**/*.node", { cwd: program });
  t.is(native.length, 2, native.join());
  const load = `for (const name of ${JSON.stringify(Object.keys(dependencies))}) await import(name)`;
  writeFileSync(join(program, "load.mjs"), load);
  const loaded = runIn(root, "/usr/local/bin/node", "/usr/lib/fim-agent/load.mjs");
  t.is(loaded.status, 0, loaded.stderr);

  const sbom = JSON.parse(
    readFileSync(join(root, "usr/share/doc/fim-agent/sbom.cdx.json"), "utf8"),
  ) as { readonly components: readonly { readonly name: string }[] };
  const listed = sbom.components.map(({ name }) => name).filter((name) => name !== "node");
  t.true(listed.includes("zod"));
  const manifests = globSync("node_modules/**/package.json", { cwd: program });
  const isThere = (name: string): boolean =>
    manifests.some((file) => file.endsWith(`node_modules/${name}/package.json`));
  const absent = listed.filter((name) => !isThere(name));
  t.deepEqual(absent, [], "a list of what is not there");
  const directories = globSync("node_modules/{[!@.]*,@*/*}", { cwd: program });
  const there = directories.map((one) => one.slice("node_modules/".length));
  t.deepEqual(
    there.filter((name) => !listed.includes(name)),
    [],
    "there and not in the list",
  );
});

/** Prints how it was started. */
const program =
  "const { execArgv, argv, env } = process; console.log(JSON.stringify({ execArgv, argv, env }))";

mounting("in the image a program gets the launcher's flags and no other code", (t) => {
  const root = made[0] ?? makeRoot();
  const dist = "usr/lib/fim-agent/dist/cli";
  writeFileSync(join(root, dist, "main.js"), program);
  const run = (...words: readonly string[]) => runIn(root, "/usr/local/bin/node", ...words);
  const { stdout } = run("--no-warnings", "/usr/local/bin/fim-agent", "a b", "--c");
  const started = JSON.parse(stdout) as {
    readonly execArgv: readonly string[];
    readonly argv: readonly string[];
    readonly env: Readonly<Record<string, string>>;
  };
  t.deepEqual(started.execArgv, launcherFlags);
  t.deepEqual(started.argv, ["/usr/local/bin/node", `/${dist}/main.js`, "a b", "--c"]);
  t.is(started.env["MALLOC_ARENA_MAX"], "1");
  t.is(run("/usr/lib/fim-agent/dist/cli/launch.js").status, 2);
});

test("the image's launcher starts the programs that bin/ starts", (t) => {
  const launcher = readFileSync(join(home, "src/cli/launch.ts"), "utf8");
  for (const name of ["fim-agent", "fim-collector"]) {
    const script = readFileSync(join(home, "bin", name), "utf8");
    const [, entry] = /^entry=cli\/(\S+)$/m.exec(script) ?? [];
    t.true(launcher.includes(`"${name}": new URL("./${entry}.js"`), name);
  }
});

test("both native libraries bring a binary for amd64 and for arm64", (t) => {
  const { packages } = JSON.parse(readFileSync(join(home, "package-lock.json"), "utf8")) as {
    readonly packages: Readonly<Record<string, { readonly cpu?: readonly string[] }>>;
  };
  for (const machine of ["x64", "arm64"]) {
    const koffi = packages[`node_modules/@koromix/koffi-linux-${machine}`];
    t.deepEqual(koffi?.cpu, [machine]);
    const sqlite = join(home, `node_modules/better-sqlite3/prebuilds/linux-${machine}.node`);
    // ELF: e_machine is 62 for x86-64 and 183 for AArch64.
    t.is(readFileSync(sqlite).readUInt16LE(18), machine === "x64" ? 62 : 183);
  }
});

const base = "docker.io/library/node:24-bookworm-slim";

function builderMissing(): string | undefined {
  const missing = missingProgram("buildah");
  if (missing !== undefined) return missing;
  const { status } = spawnSync("buildah", ["inspect", "--type", "image", base]);
  return status === 0 ? undefined : `${base} is not in the local store`;
}

needing(rootMissing ?? builderMissing(), "serial")(
  "npm run image builds the image that its labels describe, and it runs",
  (t) => {
    t.timeout(600_000);
    const name = "localhost/fim-agent:test";
    execFileSync(process.execPath, [join(home, "packaging/image.ts"), name], { stdio: "ignore" });
    try {
      const { OCIv1 } = JSON.parse(
        execFileSync("buildah", ["inspect", "--type", "image", name], { encoding: "utf8" }),
      ) as { readonly OCIv1: { readonly config: Readonly<Record<string, unknown>> } };
      t.like(OCIv1.config, { Entrypoint: ["fim-agent"], Cmd: ["watch"] });
      const labels = OCIv1.config["Labels"] as Readonly<Record<string, string>>;
      t.is(labels["org.opencontainers.image.version"], version);
      const container = execFileSync("buildah", ["from", name], { encoding: "utf8" }).trim();
      try {
        const command = ["run", "--isolation", "chroot", container, "--", "fim-agent", "--version"];
        t.is(execFileSync("buildah", command, { encoding: "utf8" }), `${version}\n`);
      } finally {
        execFileSync("buildah", ["rm", container], { stdio: "ignore" });
      }
    } finally {
      execFileSync("buildah", ["rmi", name], { stdio: "ignore" });
    }
  },
);
