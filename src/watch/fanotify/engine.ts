import type { Buffer } from "node:buffer";
import { withoutProgram } from "../../core/change/actors.ts";
import { IntegrityError } from "../../core/error.ts";
import type { Actor } from "../../core/change/hint.ts";
import { levels, openGroup, parseEvents } from "../../linux/fanotify.ts";
import type { Group, Level, QueueSize } from "../../linux/fanotify.ts";
import { close } from "../../linux/files.ts";
import type { Engine, EngineOptions, StartEngine } from "../engine.ts";
import { Tracker } from "./events.ts";
import { Marker } from "./marks.ts";
import { EventReader } from "./reader.ts";
import { Inodes } from "./inodes.ts";
import { Programs } from "./programs.ts";

export interface FanotifyOptions {
  /** Names a process, at once and synchronously: it may be gone a moment later. Without it a hint carries the pid alone. */
  readonly describe?: (pid: number, now: number) => Actor | undefined;
  /** Processes can be named only while they live: no event may wait. */
  readonly isHurried?: boolean;
  /** Node paths of programs whose word counts: who executes one has not done as it what it did before. */
  readonly programs?: readonly string[];
  /** Milliseconds after which these are marked anew: one may have been replaced. */
  readonly programsEvery?: number;
  /** What the group may tell, best first; all by default. */
  readonly levels?: readonly Level[];
  /** How many events may wait in the kernel; any number by default. */
  readonly queue?: QueueSize;
}

const usualUpkeep = 10_000;
/** More unwatched directories than this are not named one by one. */
const namedFailures = 1000;

const blind = [
  "flags set with chattr, and mounts over a watched path",
  "writes to the block device behind the filesystem",
] as const;

/** The kernel's own word for each directory and each watched file: what was done, and by which process. */
export function fanotifyEngine(own: FanotifyOptions = {}): StartEngine {
  return (options) => new FanotifyWatch(options, own).engine;
}

class FanotifyWatch {
  readonly engine: Engine;
  readonly #options: EngineOptions;
  readonly #own: FanotifyOptions;
  readonly #ending = Promise.withResolvers<void>();
  readonly #inodes = new Inodes();
  readonly #programs = new Programs();
  readonly #unwatched = new Set<string>();
  readonly #group: Group;
  readonly #marker: Marker;
  readonly #tracker: Tracker;
  readonly #reader: EventReader;
  readonly #upkeep: NodeJS.Timeout;
  #isStopping = false;

  constructor(options: EngineOptions, own: FanotifyOptions) {
    this.#options = options;
    this.#own = own;
    this.#group = open(own);
    const { index, root, within } = options;
    const inodes = this.#inodes;
    const onUnwatched = (path: string, detail: string) => this.#noteUnwatched(path, detail);
    this.#marker = new Marker({
      group: this.#group,
      root,
      ...(within !== undefined && { within }),
      index,
      inodes,
      onUnwatched,
    });
    this.#tracker = new Tracker({ index, inodes, marker: this.#marker, sink: options.sink });
    this.#reader = new EventReader({
      groupFd: this.#group.fd,
      isHurried: own.isHurried ?? false,
      onEvents: (bytes, readAt) => this.#onEvents(bytes, readAt),
      onFailed: (detail) => this.#fail(detail),
      onStopped: () => this.#close(),
    });
    this.engine = {
      name: "fanotify",
      ready: this.#start(),
      ended: this.#ending.promise,
      add: (path) => this.#add(path),
      watched: () => this.#inodes.size,
      drain: () => this.#reader.drain(),
      blind,
    };
    this.#upkeep = setInterval(() => this.#markPrograms(), own.programsEvery ?? usualUpkeep);
    this.#upkeep.unref();
    // The caller may look at it late; until then a rejection is not unhandled.
    this.engine.ready.catch(() => undefined);
    const stop = () => this.#stop();
    if (options.signal.aborted) stop();
    else options.signal.addEventListener("abort", stop, { once: true });
  }

  /** Until every mark is set nothing is read: this does not return to the event loop before. */
  async #start(): Promise<void> {
    this.#coverAll();
    if (this.#inodes.size > 0) return;
    this.#stop();
    throw failure("not one mark could be set");
  }

  #onEvents(bytes: Buffer, readAt: number): void {
    if (this.#isStopping) return;
    const at = Date.now();
    const { events, isWhole } = parseEvents(bytes);
    this.#programs.take(events, { readAt, at });
    const actorOf = this.#naming(at);
    // Short-lived processes vanish. Where that is no loss, a new directory is marked before anybody is named.
    if (this.#own.isHurried) for (const { pid } of events) actorOf(pid);
    for (const event of events) this.#tracker.take(event, { at, actor: () => actorOf(event.pid) });
    this.#tracker.settle();
    if (!isWhole || events.some((event) => event.bits.includes("overflow"))) this.#recover(at);
  }

  /** Names each process once, when it is first asked for. */
  #naming(now: number): (pid: number) => Actor | undefined {
    const actors = new Map<number, Actor>();
    return (pid) => {
      if (pid <= 0) return undefined;
      const known = actors.get(pid);
      if (known) return known;
      const found = this.#own.describe?.(pid, now) ?? { pid };
      const actor = this.#programs.isLater(found) ? withoutProgram(found) : found;
      actors.set(pid, actor);
      return actor;
    };
  }

  /** After a loss nobody knows what is where: the marks are set anew, then everything is looked at. */
  #recover(at: number): void {
    this.#inodes.clear();
    this.#coverAll();
    const detail = "the kernel's queue of events overflowed";
    this.#options.sink({ kind: "overflow", engine: "fanotify", at, detail });
  }

  #coverAll(): void {
    this.#marker.coverAll();
    this.#markPrograms();
    this.#requestAll();
  }

  #markPrograms(): void {
    for (const path of this.#own.programs ?? []) this.#programs.add(this.#marker.markProgram(path));
  }

  #requestAll(): void {
    for (const path of this.#options.directories()) this.#marker.request(path);
    this.#marker.rest();
  }

  #add(path: string): void {
    if (this.#isStopping) return;
    this.#unwatched.delete(path);
    this.#marker.requestAnew(path);
    this.#requestAll();
  }

  #noteUnwatched(path: string, errno: string): void {
    if (this.#unwatched.has(path) || this.#unwatched.size > namedFailures) return;
    this.#unwatched.add(path);
    const isNamed = this.#unwatched.size <= namedFailures;
    const detail = isNamed ? errno : `more than ${namedFailures} directories: ${errno}`;
    const at = this.#options.now();
    const where = isNamed ? path : "/";
    this.#options.sink({ kind: "unwatched", engine: "fanotify", at, path: where, detail });
  }

  #fail(detail: string): void {
    this.#options.sink({ kind: "failed", engine: "fanotify", at: this.#options.now(), detail });
  }

  #stop(): void {
    this.#isStopping = true;
    clearInterval(this.#upkeep);
    this.#reader.stop();
  }

  #close(): void {
    this.#isStopping = true;
    clearInterval(this.#upkeep);
    this.#marker[Symbol.dispose]();
    close(this.#group.fd);
    this.#ending.resolve();
  }
}

function open(own: FanotifyOptions): Group {
  try {
    return openGroup(own.levels ?? levels, own.queue);
  } catch (cause) {
    throw failure(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function failure(detail: string, cause?: unknown): IntegrityError {
  return new IntegrityError("ENGINE_FAILED", `fanotify: ${detail}`, { cause });
}
