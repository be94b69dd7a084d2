import { accessSync, constants, readFileSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { release } from "node:os";
import { openNode } from "../agent/node.ts";
import type { Settings } from "../agent/settings.ts";
import { version } from "../agent/version.ts";
import { walk } from "../observe/walk.ts";
import { exit } from "./fail.ts";
import type { Exit } from "./fail.ts";
import { out, table } from "./print.ts";

/** One finding: good, or what it costs and what to do. */
interface Finding {
  readonly what: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** `doctor` */
export async function doctor(settings: Settings): Promise<Exit> {
  using node = await openNode(settings);
  const watched = countWatched(node);
  const findings: readonly Finding[] = [
    { what: "program", ok: true, detail: `fim-agent ${version}, node ${process.version}` },
    { what: "kernel", ok: true, detail: release() },
    { what: "user", ok: process.getuid?.() === 0, detail: `uid ${process.getuid?.() ?? "?"}` },
    { what: "policy", ok: true, detail: `${node.policy.name}, ${node.policy.rules.length} rules` },
    { what: "watched", ok: watched.paths > 0, detail: watchedText(watched) },
    inotify(watched.directories),
    disk(settings.state),
    ...(await linuxFindings(settings.root)),
  ];
  const ok = findings.every((one) => one.ok);
  if (settings.format === "table")
    out(table(findings.map((one) => [one.ok ? "ok" : "!!", one.what, one.detail])));
  else if (settings.format === "json") out(JSON.stringify({ ok, findings }, undefined, 2));
  else for (const one of findings) out(JSON.stringify(one));
  return exit.fine;
}

interface Watched {
  readonly paths: number;
  readonly directories: number;
  readonly unlisted: readonly string[];
}

function countWatched(node: Awaited<ReturnType<typeof openNode>>): Watched {
  let paths = 0;
  const directories = new Set<string>();
  const unlisted: string[] = [];
  for (const found of walk(node.observer, node.index)) {
    if (found.kind === "unlisted") unlisted.push(found.path);
    else {
      paths += 1;
      directories.add(dirname(found.path));
    }
  }
  return { paths, directories: directories.size, unlisted };
}

function watchedText({ paths, directories, unlisted }: Watched): string {
  const hidden = unlisted.length > 0 ? `, ${unlisted.length} directories cannot be listed` : "";
  return `${paths} paths in ${directories} directories${hidden}`;
}

/** inotify(7): the limit is per user, and shared with the kubelet when both are root. */
function inotify(directories: number): Finding {
  const limit = Number(read("/proc/sys/fs/inotify/max_user_watches") ?? "0");
  return {
    what: "inotify",
    ok: limit > directories * 2,
    detail: `max_user_watches ${limit}, ${directories} would be used by chokidar`,
  };
}

function disk(state: string): Finding {
  const place = existing(state);
  const { bavail, bsize } = statfsSync(place);
  const free = Math.floor((bavail * bsize) / 2 ** 20);
  return {
    what: "state",
    ok: free > 512 && isWritable(place),
    detail: `${state}: ${free} MiB free${isWritable(place) ? "" : ", not writable"}`,
  };
}

async function linuxFindings(root: string): Promise<readonly Finding[]> {
  const { examine } = await import("../agent/examine.ts");
  return examine(root);
}

function existing(path: string): string {
  try {
    accessSync(path);
    return path;
  } catch {
    return existing(dirname(path));
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}
