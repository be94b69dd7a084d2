import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import type { Receiver } from "../test/helpers/receiver.ts";
import { startWatch } from "../test/helpers/agent.ts";
import type { Watching } from "../test/helpers/agent.ts";
import { buildProgram, run, Scratch } from "./program.ts";

export const engines = ["fanotify", "chokidar"] as const;
export type Engine = (typeof engines)[number];

interface WatchedWith {
  readonly receiver?: Receiver | undefined;
  /** By default a policy that watches everything. */
  readonly policy?: string;
}

/** The shipped program, and a place for trees and state. */
export class Ground implements Disposable {
  readonly scratch = new Scratch();
  readonly program = buildProgram(this.scratch.at("program"));
  #states = 0;

  /** Writes files below a root of their own, a hundred to a directory, and approves them. */
  files(name: string, count: number): { readonly root: string; readonly paths: readonly string[] } {
    const root = this.scratch.at(name);
    const paths = Array.from(
      { length: count },
      (_, at) => `/etc/${Math.floor(at / 100)}/file-${at}`,
    );
    for (const path of paths) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), `content of ${path}\n`, { mode: 0o600 });
    }
    return { root, paths };
  }

  /** Approves a tree and watches it. */
  async watch(root: string, engine: Engine, more: WatchedWith = {}): Promise<Watching> {
    const { receiver } = more;
    this.#states += 1;
    const state = this.scratch.at(`state-${this.#states}`);
    const policy = more.policy ?? this.scratch.policy();
    run(this.program, ["baseline", "--root", root, "--state", state, "--policy", policy]);
    const webhooks = receiver ? [{ url: receiver.url, secret: this.#secret() }] : [];
    const watching = await startWatch({
      program: this.program,
      root,
      state,
      policy,
      engine,
      config: { webhooks },
      deadline: 300_000,
    });
    const used = watching.logs().find(({ msg }) => msg === "engine")?.["engine"];
    if (used !== engine) {
      await watching.kill9();
      throw new Error(`engine ${engine}: not on this machine, ${String(used)} instead`);
    }
    return watching;
  }

  [Symbol.dispose](): void {
    this.scratch[Symbol.dispose]();
  }

  #secret(): string {
    const file = this.scratch.at("secret");
    writeFileSync(file, `whsec_${Buffer.alloc(32, 7).toString("base64")}\n`, { mode: 0o600 });
    return file;
  }
}

/** The node path of an alert. */
export function pathOf(received: Receiver["requests"][number]): string | undefined {
  const { unmapped } = received.data as {
    readonly unmapped?: { readonly fim?: { path?: string } };
  };
  return unmapped?.fim?.path;
}
