import { readFileSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { release } from "node:os";
import { examine, nearest } from "../../agent/commands/examine.ts";
import { unmarkable } from "../../agent/commands/examine-marks.ts";
import { messageOf } from "../../core/error.ts";
import { urgentPaths, urgentRound } from "../../core/pace.ts";
import { isAtLeast } from "../../core/policy/rule.ts";
import type { Policy } from "../../core/policy/rule.ts";
import { QuickSweep } from "../../observe/quick-sweep.ts";
import { openNode, readPolicy } from "../../node/node.ts";
import type { Node } from "../../node/node.ts";
import { mayWrite } from "../../agent/privileges.ts";
import type { Settings } from "../../config/settings.ts";
import { version } from "../../node/version.ts";
import { walk } from "../../observe/walk.ts";
import { exit } from "../fail.ts";
import type { Exit } from "../fail.ts";
import { out } from "../print.ts";
import { table } from "../table.ts";

const mebibyte = 2 ** 20;

/** One finding: good, or its cost and remedy. */
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
    policy(node, await readPolicy(settings, { fresh: true })),
    { what: "watched", ok: watched.paths.length > 0, detail: watchedText(watched) },
    quickSweep(node, watched.paths, settings.watch.quickSweepEvery),
    inotify(watched.directories),
    disk(settings.state),
    memory(),
    ...examine(settings.root, settings.state),
    watches(node, settings.state),
  ];
  const ok = findings.every((one) => one.ok);
  if (settings.format === "table")
    out(table(findings.map((one) => [one.ok ? "ok" : "!!", one.what, one.detail])));
  else if (settings.format === "json") out(JSON.stringify({ ok, findings }, undefined, 2));
  else for (const one of findings) out(JSON.stringify(one));
  return exit.fine;
}

/** The policy of the baseline, and the one that fits the node now. */
function policy({ policy: { name, rules } }: Node, fitting: Policy): Finding {
  const detail = `${name}, ${rules.length} rules`;
  if (name === fitting.name) return { what: "policy", ok: true, detail };
  return {
    what: "policy",
    ok: false,
    detail: `${detail}, kept since the baseline; the node fits ${fitting.name} now: fim-agent baseline --replace --reason TEXT`,
  };
}

interface Watched {
  readonly paths: readonly string[];
  readonly directories: number;
  readonly unlisted: readonly string[];
}

function countWatched(node: Node): Watched {
  const paths: string[] = [];
  const directories = new Set<string>();
  const unlisted: string[] = [];
  for (const found of walk(node.observer, node.index)) {
    if (found.kind === "unlisted") unlisted.push(found.path);
    else {
      paths.push(found.path);
      directories.add(dirname(found.path));
    }
  }
  return { paths, directories: directories.size, unlisted };
}

function watchedText({ paths, directories, unlisted }: Watched): string {
  const hidden = unlisted.length > 0 ? `, ${unlisted.length} directories cannot be listed` : "";
  return `${paths.length} paths in ${directories} directories${hidden}`;
}

/** What each quick sweep costs here: it stats the paths of high and critical rules in turn. */
function quickSweep(node: Node, paths: readonly string[], every: number): Finding {
  using sweep = new QuickSweep(node.root);
  for (const path of paths)
    if (isAtLeast(node.index.find(path)?.rule.severity ?? "info", "high"))
      sweep.learn(path, undefined, true);
  const each = urgentPaths(sweep.urgent, every);
  // The first one fills the kernel's cache of names.
  sweep.sweep(0);
  const started = performance.now();
  sweep.sweep(0, each);
  const took = performance.now() - started;
  const round = urgentRound(every) / 1000;
  return {
    what: "quick sweep",
    ok: took < every / 20,
    detail: `looks at the ${sweep.urgent} paths of high and critical rules within ${round} s, ${each} of them every ${every / 1000} s, which takes ${took.toFixed(1)} ms; the others as time allows`,
  };
}

/** The kernel's defaults: with less, other programs leave none for the agent, or a busy moment loses events. */
const fewestInstances = 128;
const fewestEvents = 16_384;

/** inotify(7): the limit is per user, and shared with the kubelet when both are root. */
function inotify(directories: number): Finding {
  const limit = Number(read("/proc/sys/fs/inotify/max_user_watches") ?? "0");
  const instances = Number(read("/proc/sys/fs/inotify/max_user_instances") ?? "0");
  const events = Number(read("/proc/sys/fs/inotify/max_queued_events") ?? "0");
  return {
    what: "inotify",
    ok: limit > directories * 2 && instances >= fewestInstances && events >= fewestEvents,
    detail: `max_user_watches ${limit}, ${directories} would be used by chokidar; max_user_instances ${instances}, shared by everything that runs as this user; max_queued_events ${events}`,
  };
}

/** Where `watch` needs another engine than fanotify. */
function watches(node: Node, state: string): Finding {
  const what = "watches";
  try {
    const places = unmarkable(node, state);
    if (places.length === 0)
      return { what, ok: true, detail: "fanotify can mark every rule's root" };
    const detail = `fanotify cannot mark ${places.join(", ")}: chokidar watches there, which names no process`;
    return { what, ok: false, detail };
  } catch (error) {
    return { what, ok: false, detail: messageOf(error) };
  }
}

function disk(state: string): Finding {
  const place = nearest(state);
  const { bavail, bsize, files, ffree } = statfsSync(place);
  const free = Math.floor((bavail * bsize) / mebibyte);
  // Filesystems without an inode table report none.
  const isFull = free < 512 || (files > 0 && ffree < 1000);
  const inodes = files > 0 ? `, ${ffree} inodes` : "";
  return {
    what: "state",
    ok: !isFull && mayWrite(place),
    detail: `${state}: ${free} MiB free${inodes}${mayWrite(place) ? "" : ", which watch cannot write"}`,
  };
}

/** The node's free memory, or the container's limit if that is less. The agent takes about 100 MiB. */
function memory(): Finding {
  const free = Math.floor(process.availableMemory() / mebibyte);
  return { what: "memory", ok: free >= 256, detail: `${free} MiB available` };
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}
