import type { Buffer } from "node:buffer";
import { withoutProgram } from "../../core/change/actors.ts";
import { IntegrityError, messageOf } from "../../core/error.ts";
import type { Actor } from "../../core/change/hint.ts";
import { levels, openGroup, parseEvents } from "../../linux/fanotify.ts";
import type { Group, Level, QueueSize } from "../../linux/fanotify.ts";
import { close } from "../../linux/files.ts";
import type { Engine, EngineOptions, StartEngine } from "../engine.ts";
import { Tracker } from "./events.ts";
import { Marker } from "./marks.ts";
import { EventReader } from "./reader.ts";
import type { ReadTimes } from "./reader.ts";
import { Inodes } from "./inodes.ts";
import { Programs } from "./programs.ts";

export interface FanotifyOptions {
  /** Describes a process synchronously, because it may exit at any moment. Without it hints carry the pid alone. */
  readonly describe?: (pid: number, now: number, queueEmpty: number) => Actor | undefined;
  /** /proc alone names processes: read every event at once. */
  readonly isHurried?: boolean;
  /** Node paths of the rules' writers. A process that executes one did not act as that program before. */
  readonly programs?: readonly string[];
  /** Milliseconds between two rounds of marking writers: one may have been replaced. */
  readonly programsEvery?: number;
  /** Event features to ask the kernel for, best first; all by default. */
  readonly levels?: readonly Level[];
  /** Length of the kernel's event queue; unlimited by default. */
  readonly queue?: QueueSize;
}

const usualUpkeep = 10_000;
/** At most this many unwatched directories are reported by name. */
const namedFailures = 1000;

const blind = [
  "flags set with chattr, and mounts over a watched path",
  "writes to the block device behind the filesystem",
] as const;

/** The kernel's events for each directory and each watched file: what was done, and the pid. */
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
      onEvents: (bytes, times) => this.#onEvents(bytes, times),
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
    // The caller may await it late: this keeps the rejection handled.
    this.engine.ready.catch(() => undefined);
    const stop = () => this.#stop();
    if (options.signal.aborted) stop();
    else options.signal.addEventListener("abort", stop, { once: true });
  }

  /** Sets every mark before it returns to the event loop, so that no event is read earlier. */
  async #start(): Promise<void> {
    this.#coverAll();
    if (this.#inodes.size > 0) return;
    this.#stop();
    throw failure("not one mark could be set");
  }

  #onEvents(bytes: Buffer, { readAt, queueEmpty }: ReadTimes): void {
    if (this.#isStopping) return;
    const at = Date.now();
    const { events, isWhole } = parseEvents(bytes);
    this.#programs.take(events, { readAt, at });
    const actorOf = this.#naming(at, queueEmpty);
    // Names processes first where /proc is the only source; otherwise marks new directories first.
    if (this.#own.isHurried) for (const { pid } of events) actorOf(pid);
    for (const event of events) this.#tracker.take(event, { at, actor: () => actorOf(event.pid) });
    this.#tracker.endRead();
    if (!isWhole || events.some((event) => event.bits.includes("overflow"))) this.#recover(at);
  }

  /** Describes each process once, on demand. */
  #naming(now: number, queueEmpty: number): (pid: number) => Actor | undefined {
    const actors = new Map<number, Actor>();
    return (pid) => {
      if (pid <= 0) return undefined;
      const known = actors.get(pid);
      if (known) return known;
      const found = this.#own.describe?.(pid, now, queueEmpty) ?? { pid };
      const isLater = !found.isProven && !found.images && this.#programs.isLater(found);
      const actor = isLater ? withoutProgram(found) : found;
      actors.set(pid, actor);
      return actor;
    };
  }

  /** After lost events the places of inodes are unknown: set all marks again, then sweep everything. */
  #recover(at: number): void {
    this.#inodes.clear();
    this.#coverAll();
    const detail = "the kernel's queue of events overflowed";
    this.#options.sink({ kind: "overflow", engine: "fanotify", at, detail });
  }

  /** The requested directories first: after another filesystem the kernel can refuse theirs (EXDEV). */
  #coverAll(): void {
    this.#requestAll();
    this.#marker.coverAll();
    this.#markPrograms();
    this.#marker.rest();
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
    throw failure(messageOf(cause), cause);
  }
}

function failure(detail: string, cause?: unknown): IntegrityError {
  return new IntegrityError("ENGINE_FAILED", `fanotify: ${detail}`, { cause });
}
