import { IntegrityError, messageOf } from "../core/error.ts";
import type { EngineName, Hint, HintSink } from "../core/change/hint.ts";
import { watchCanary } from "./canary.ts";
import type { Engine, EngineOptions, StartEngine } from "./engine.ts";
import { seenAt } from "./engine.ts";
import { asNode, asSeen } from "./root-mapping.ts";
import type { ExtraWatch } from "./root-mapping.ts";
import type { Probe } from "./selftest.ts";

/** "auto" tries fanotify, then chokidar. "sweep" tries none. */
type EnginePreference = "auto" | "fanotify" | "chokidar" | "sweep";

export interface SelectOptions extends EngineOptions {
  readonly probe: Probe;
  /** Paths to watch for the self-guard, as the agent sees them. `offer` gets each hint and may keep it. */
  readonly extra?: ExtraWatch & { offer(hint: Hint): boolean };
  /** Milliseconds in which an engine must set its watches; a slow disk with 100,000 directories needs most of it. */
  readonly readyWithin?: number;
  /** Milliseconds in which hints for the probe's series must come. */
  readonly proofWithin?: number;
  readonly canaryEvery?: number;
  readonly canaryWithin?: number;
}

interface EngineFailure {
  readonly engine: EngineName;
  readonly reason: string;
}

export interface Selected {
  /** Proven, and guarded by the canary. Absent: only sweeps run. */
  readonly engine?: Engine;
  /** Of the engines tried before it. The caller logs and counts them and raises an alert. */
  readonly failures: readonly EngineFailure[];
}

export type EngineFactories = Partial<Record<"fanotify" | "chokidar", StartEngine>>;

/**
 * Starts the best engine that proves itself. Never throws because of an engine: the result holds its failure. Without
 * an engine once the signal aborts.
 */
export async function startEngine(
  preference: EnginePreference,
  factories: EngineFactories,
  options: SelectOptions,
): Promise<Selected> {
  const failures: EngineFailure[] = [];
  for (const name of candidates(preference)) {
    const start = factories[name];
    if (!start) continue;
    try {
      return { engine: await prove(start, options), failures };
    } catch (error) {
      // The agent stops: what the engine says of its end is no failure of its own.
      if (options.signal.aborted) return { failures };
      failures.push({ engine: name, reason: messageOf(error) });
    }
  }
  return { failures };
}

/** Asked for by name, fanotify is still better replaced than missing. */
function candidates(preference: EnginePreference): readonly ("fanotify" | "chokidar")[] {
  switch (preference) {
    case "auto":
    case "fanotify":
      return ["fanotify", "chokidar"];
    case "chokidar":
      return ["chokidar"];
    case "sweep":
      return [];
  }
}

/** Starts the engine and proves it. Stops an engine that fails. */
async function prove(start: StartEngine, options: SelectOptions): Promise<Engine> {
  const { probe } = options;
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  probe.prepare();
  try {
    const filter = new Filter(options);
    const engine = start({
      ...asSeen(options, withProbe(probe, options.extra)),
      signal,
      sink: filter.take,
    });
    await withDeadline(engine.ready, options.readyWithin ?? 120_000, "was not ready");
    const proof = await probe.prove(options.proofWithin ?? 5000);
    if (proof.kind === "missing") {
      throw failure(`self-test: no hint for: ${proof.steps.join(", ")}${filter.whyNot}`);
    }
    filter.release();
    void engine.ended.then(() => stop.abort());
    void guard(engine.name, { options, signal, stop });
    return {
      ...engine,
      add: (path) => engine.add(seenAt(options.root, path)),
      stop: () => stop.abort(),
    };
  } catch (error) {
    stop.abort();
    throw error;
  }
}

function withProbe(probe: Probe, extra: ExtraWatch | undefined): ExtraWatch {
  const nothing = { roots: [], find: () => undefined, mayMatchBelow: () => false };
  const directories = [probe.path, ...(extra?.directories ?? [])];
  return { directories, index: extra?.index ?? nothing };
}

/**
 * The way of a hint from an engine to the sink: past the probe and the self-guard, mapped to node paths. Hints about
 * the engine itself wait until it has proved itself: those of a replaced engine do not matter.
 */
class Filter {
  readonly #options: SelectOptions;
  #held: Hint[] | undefined = [];
  #unwatched: string | undefined;

  constructor(options: SelectOptions) {
    this.#options = options;
  }

  /** Why the first unwatched directory has no watch: the probe's own may be among them. */
  get whyNot(): string {
    const detail = this.#unwatched;
    return detail === undefined ? "" : ` (not every directory is watched: ${detail})`;
  }

  readonly take: HintSink = (hint) => {
    const { probe, extra, root } = this.#options;
    if (hint.kind === "unwatched") this.#unwatched ??= hint.detail;
    if (probe.offer(hint) || extra?.offer(hint) === true) return;
    const mapped = asNode(hint, root);
    if (!mapped) return;
    if (this.#held && hint.kind !== "path" && hint.kind !== "tree") this.#held.push(mapped);
    else this.#options.sink(mapped);
  };

  release(): void {
    for (const hint of this.#held ?? []) this.#options.sink(hint);
    this.#held = undefined;
  }
}

interface Guard {
  readonly options: SelectOptions;
  readonly signal: AbortSignal;
  readonly stop: AbortController;
}

/** Stops the engine when its canary dies. */
async function guard(engine: EngineName, { options, signal, stop }: Guard): Promise<void> {
  const detail = await watchCanary({
    probe: options.probe,
    every: options.canaryEvery ?? 60_000,
    deadline: options.canaryWithin ?? 10_000,
    signal,
  });
  if (detail === undefined) return;
  options.sink({ kind: "failed", engine, at: options.now(), detail });
  stop.abort();
}

async function withDeadline(
  work: Promise<void>,
  deadline: number,
  otherwise: string,
): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(failure(`${otherwise} within ${deadline} ms`)), deadline);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function failure(message: string): IntegrityError {
  return new IntegrityError("ENGINE_FAILED", message);
}
