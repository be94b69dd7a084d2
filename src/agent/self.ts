import { join } from "node:path";
import type { JudgedChange } from "../core/change.ts";
import type { Actor, Hint, Step } from "../core/hint.ts";
import { isBelow } from "../core/path.ts";
import { appendStep } from "../core/settle.ts";

type PathHint = Extract<Hint, { readonly kind: "path" }>;

interface Touched {
  readonly hint: PathHint;
  readonly actor: Actor;
  readonly steps: readonly Step[];
}

export interface SelfGuardOptions {
  readonly stateDir: string;
  /** The program that this process runs: its other commands (accept, check) may open the state. */
  readonly ownProgram: string;
  readonly ownPid: number;
  readonly report: (change: JudgedChange) => void;
}

/** Milliseconds in which what one process does to one file is told as one. */
const gathering = 100;

/**
 * Watches the agent's own key, database and anchor, which no rule can: they change all the time, by us. Only an engine
 * that names processes can tell us from others.
 */
export class SelfGuard implements Disposable {
  readonly #options: SelfGuardOptions;
  readonly #touched = new Map<string, Touched>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SelfGuardOptions) {
    this.#options = options;
  }

  get directories(): readonly string[] {
    return [this.#options.stateDir];
  }

  /** True: the hint concerns the state directory, as seen from here, and goes no further. */
  offer(hint: Hint): boolean {
    if (hint.kind !== "path" && hint.kind !== "tree") return false;
    const { stateDir } = this.#options;
    if (hint.path !== stateDir && !isBelow(hint.path, stateDir)) return false;
    if (hint.kind === "path" && hint.actor) this.#note(hint, hint.actor);
    return true;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#tell();
  }

  #note(hint: PathHint, actor: Actor): void {
    const { ownPid, ownProgram, stateDir } = this.#options;
    if (actor.pid === ownPid || actor.exe === ownProgram) return;
    if (isBelow(hint.path, join(stateDir, "probe"))) return;
    const key = `${actor.pid} ${hint.path}`;
    const known = this.#touched.get(key);
    const steps = appendStep(known?.steps ?? [], hint.step);
    this.#touched.set(key, { hint: known?.hint ?? hint, actor, steps });
    this.#timer ??= setTimeout(() => this.#tell(), gathering);
  }

  #tell(): void {
    this.#timer = undefined;
    const all = [...this.#touched.values()];
    this.#touched.clear();
    for (const one of all) this.#options.report(judged(one));
  }
}

function judged({ hint, actor, steps }: Touched): JudgedChange {
  return {
    change: { kind: "transient", path: hint.path, steps },
    rule: "agent/state",
    class: "immutable",
    severity: "critical",
    verdict: "unexpected",
    meaning: ["the agent's own key, database or anchor was touched by another process"],
    attack: ["T1562.001"],
    why: "Whoever alters the agent's state can hide every other change.",
    at: hint.at,
    engine: hint.engine,
    actor,
  };
}
