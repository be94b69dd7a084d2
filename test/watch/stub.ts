import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Hint } from "../../src/core/change/hint.ts";
import { isBelow } from "../../src/core/path.ts";
import type { RuleIndex } from "../../src/core/policy/rule.ts";
import type { Clock } from "../../src/watch/clock.ts";
import { ruleWith } from "../helpers/rule.ts";

export function temporaryDirectory(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "fim-watch-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

const rule = ruleWith();

/** Everything at and below these directories. */
export function indexOf(...roots: readonly string[]): RuleIndex {
  const isInside = (path: string) => roots.some((root) => path === root || isBelow(path, root));
  return {
    roots,
    find: (path) => (isInside(path) ? { rule, glob: "**" } : undefined),
    mayMatchBelow: (dir) => isInside(dir) || roots.some((root) => isBelow(root, dir)),
  };
}

/** Gathers an engine's hints and lets a test wait for one of them, never for time alone. */
export class Collected {
  readonly hints: Hint[] = [];
  #wake: (() => void)[] = [];

  readonly sink = (hint: Hint): void => {
    this.hints.push(hint);
    for (const wake of this.#wake.splice(0)) wake();
  };

  /** False: the deadline passed. */
  async has(isWanted: (hint: Hint) => boolean, deadline = 10_000): Promise<boolean> {
    const timer = AbortSignal.timeout(deadline);
    while (!this.hints.some(isWanted)) {
      if (timer.aborted) return false;
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve);
        timer.addEventListener("abort", () => resolve(), { once: true });
      });
    }
    return true;
  }
}

/** Time that moves only when reported to. */
export class HeldClock implements Clock {
  #now = 0;
  #waiting: { at: number; run: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, run: () => void): () => void {
    const one = { at: this.#now + Math.max(0, milliseconds), run };
    this.#waiting.push(one);
    return () => {
      this.#waiting = this.#waiting.filter((other) => other !== one);
    };
  }

  /** Runs what falls due on the way, in order, and lets promises settle after each. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    await settled();
    for (;;) {
      const [next] = this.#waiting.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at);
      if (!next) break;
      this.#waiting = this.#waiting.filter((other) => other !== next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
      await settled();
    }
    this.#now = end;
    await settled();
  }
}

/** Every promise that can go on without time or I/O has gone on. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
