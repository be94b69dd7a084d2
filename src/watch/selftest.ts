import * as fs from "node:fs";
import type { Hint } from "../core/change/hint.ts";
import { isBelow, joinPath } from "../core/path.ts";

interface ProbeOptions {
  /** The probe's directory below the state directory. Emptied at the start. */
  readonly directory: string;
}

type Proof =
  | { readonly kind: "passed" }
  /** The steps without a hint. */
  | { readonly kind: "missing"; readonly steps: readonly string[] };

interface ProbeStep {
  readonly name: string;
  /** Before the engine starts. */
  readonly prepare?: (directory: string) => void;
  readonly perform: (directory: string) => void;
  /** Names in the probe directory to which hints must lead. */
  readonly expect: readonly string[];
}

/** Each step has its own file, so that a late hint of one cannot pass for another. */
const series: readonly ProbeStep[] = [
  { name: "create", perform: (dir) => put(dir, "created"), expect: ["created"] },
  {
    name: "write",
    prepare: (dir) => put(dir, "written"),
    perform: (dir) => put(dir, "written"),
    expect: ["written"],
  },
  {
    name: "chmod",
    prepare: (dir) => put(dir, "mode"),
    perform: (dir) => fs.chmodSync(joinPath(dir, "mode"), 0o640),
    expect: ["mode"],
  },
  {
    name: "rename",
    prepare: (dir) => put(dir, "old"),
    perform: (dir) => fs.renameSync(joinPath(dir, "old"), joinPath(dir, "new")),
    expect: ["old", "new"],
  },
  {
    name: "delete",
    prepare: (dir) => put(dir, "gone"),
    perform: (dir) => fs.unlinkSync(joinPath(dir, "gone")),
    expect: ["gone"],
  },
  {
    name: "directory and a file inside",
    perform(dir) {
      fs.mkdirSync(joinPath(dir, "tree"));
      put(dir, "tree/inside");
    },
    expect: ["tree", "tree/inside"],
  },
];

/** A directory with changes that an engine must report. It gets every hint first; those below it go no further. */
export class Probe {
  readonly #options: ProbeOptions;
  readonly #awaited = new Map<string, () => void>();

  constructor(options: ProbeOptions) {
    this.#options = options;
  }

  get path(): string {
    return this.#options.directory;
  }

  /** Makes what the series changes. Call it before the engine starts. */
  prepare(): void {
    const { directory } = this.#options;
    fs.rmSync(directory, { recursive: true, force: true });
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const step of series) step.prepare?.(directory);
    put(directory, "canary");
  }

  /** True: the hint concerns only the probe. */
  offer(hint: Hint): boolean {
    if (hint.kind !== "path" && hint.kind !== "tree") return false;
    for (const [path, found] of this.#awaited) if (leadsTo(hint, path)) found();
    return hint.path === this.path || isBelow(hint.path, this.path);
  }

  /** Performs the series. The deadline in milliseconds covers all of it. */
  async prove(deadline: number): Promise<Proof> {
    const missing = await Promise.all(
      series.map(async ({ name, perform, expect }) =>
        (await this.#expect(expect, perform, deadline)) ? [] : [name],
      ),
    );
    const steps = missing.flat();
    return steps.length === 0 ? { kind: "passed" } : { kind: "missing", steps };
  }

  /** One write that must be reported. False: it was not. */
  canary(deadline: number): Promise<boolean> {
    return this.#expect(["canary"], overwrite, deadline);
  }

  async #expect(
    names: readonly string[],
    perform: (directory: string) => void,
    deadline: number,
  ): Promise<boolean> {
    const paths = names.map((name) => joinPath(this.path, name));
    const found = paths.map(
      (path) => new Promise<void>((resolve) => this.#awaited.set(path, resolve)),
    );
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(resolve, deadline, false);
    });
    try {
      perform(this.#options.directory);
      return await Promise.race([Promise.all(found).then(() => true), late]);
    } finally {
      clearTimeout(timer);
      for (const path of paths) this.#awaited.delete(path);
    }
  }
}

/** Whether a look or a sweep at the hint finds a change at this path. */
export function leadsTo(hint: Hint, path: string): boolean {
  switch (hint.kind) {
    case "path":
      return hint.path === path || hint.from === path;
    case "tree":
      return hint.path === path || isBelow(path, hint.path);
    case "overflow":
    case "unwatched":
    case "mounted":
    case "unmounted":
    case "failed":
      return false;
  }
}

function put(directory: string, name: string): void {
  fs.writeFileSync(joinPath(directory, name), "probe\n");
}

/** In place, so that it works on a full disk too. */
function overwrite(directory: string): void {
  const file = fs.openSync(joinPath(directory, "canary"), "r+");
  try {
    fs.writeSync(file, "probe\n", 0);
  } finally {
    fs.closeSync(file);
  }
}
