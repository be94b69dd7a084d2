import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { completionScript } from "../src/cli/completion.ts";
import { manualOf, programs } from "./manual.ts";
import { copyProgram, home } from "./program.ts";
import { makeSbom } from "./sbom.ts";

const units = ["fim-agent.service", "fim-collector.service"];

/**
 * Makes what a package installs: the programs with their Node, units, settings, manual, completion, documents.
 *
 * @param root the directory that stands for /
 * @param at date of what is generated, seconds since 1970
 */
export async function makeTree(root: string, at: number): Promise<void> {
  await copyWithNode(join(root, "usr/lib/fim-agent"));
  for (const { name } of programs)
    link(`../lib/fim-agent/bin/${name}`, join(root, "usr/bin", name));
  for (const name of units) {
    const unit = readFileSync(join(home, "deploy/systemd", name), "utf8");
    const installed = unit.replaceAll("/usr/local/bin/", "/usr/bin/");
    put(join(root, "usr/lib/systemd/system", name), installed);
  }
  const settings = join(home, "packaging/etc");
  cpSync(join(settings, "sysusers.conf"), join(root, "usr/lib/sysusers.d/fim-agent.conf"));
  cpSync(join(settings, "fim-agent.yaml"), join(root, "etc/fim-agent/config.yaml"));
  cpSync(join(settings, "fim-collector.env"), join(root, "etc/fim-collector/environment"));
  makeShare(join(root, "usr/share"), at);
  const doc = join(root, "usr/share/doc/fim-agent");
  cpSync(join(home, "docs"), doc, { recursive: true });
  put(join(doc, "copyright"), readFileSync(join(home, "LICENSE")));
  put(join(doc, "sbom.cdx.json"), makeSbom(join(root, "usr/lib/fim-agent"), at));
}

/** Manual pages and completion. zsh has one directory on Debian and another elsewhere. */
export function makeShare(share: string, at: number): void {
  for (const program of programs) {
    const { name } = program;
    put(join(share, "man/man8", `${name}.8.gz`), gzipSync(manualOf(program, at), { level: 9 }));
    put(join(share, "bash-completion/completions", name), completionScript(program, "bash"));
    for (const directory of ["vendor-completions", "site-functions"])
      put(join(share, "zsh", directory, `_${name}`), completionScript(program, "zsh"));
    put(
      join(share, "fish/vendor_completions.d", `${name}.fish`),
      completionScript(program, "fish"),
    );
  }
}

/** Node lies where bin/launch.sh looks for it first. */
async function copyWithNode(target: string): Promise<void> {
  await copyProgram(target);
  const node = join(target, "node_modules/node/bin/node");
  mkdirSync(dirname(node), { recursive: true });
  cpSync(process.execPath, node);
}

function link(target: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(target, path);
}

export function put(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}
