import { createPublicKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { signCheckpoint } from "../../core/tlog/checkpoint.ts";
import type { Checkpoint } from "../../core/tlog/checkpoint.ts";
import { noteKey } from "../../core/tlog/note.ts";
import type { NoteKey } from "../../core/tlog/note.ts";
import { rootOf } from "../../core/tlog/tree.ts";
import type { Store } from "../store/store.ts";

/** Milliseconds between two checkpoints. */
const interval = 1000;

interface CheckpointsOptions {
  readonly store: Store;
  /** The collector's private key. */
  readonly key: KeyObject;
  /** The collector's name. */
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Milliseconds of a clock that only rises. */
  readonly elapsed?: () => number;
}

export interface SignedCheckpoint extends Checkpoint {
  readonly note: string;
}

/** "fim-collector/<name>": identity of the log, and name of the key that signs it. */
export function originOf(name: string): string {
  return `fim-collector/${name}`;
}

/** Makes signed checkpoints of the log, at most one a second. */
export class Checkpoints {
  readonly key: NoteKey;
  readonly #options: CheckpointsOptions;
  #last: { readonly checkpoint: SignedCheckpoint; readonly at: number } | undefined;
  #making: Promise<SignedCheckpoint> | undefined;

  constructor(options: CheckpointsOptions) {
    this.#options = options;
    this.key = noteKey(originOf(options.name), createPublicKey(options.key));
  }

  /** At most a second older than the log. */
  async latest(): Promise<SignedCheckpoint> {
    if (this.#last && this.#elapsed() - this.#last.at < interval) return this.#last.checkpoint;
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined;
    });
    return await this.#making;
  }

  /** One that covers this leaf. Waits for the next one where that is needed. */
  async covering(leaf: number): Promise<SignedCheckpoint> {
    const latest = await this.latest();
    if (leaf < latest.size) return latest;
    await setTimeout(interval);
    return await this.latest();
  }

  async #make(): Promise<SignedCheckpoint> {
    const { store, key, clock } = this.#options;
    const origin = this.key.name;
    const checkpoint = await store.transact(async (tx) => {
      const tree = await tx.tree();
      if (tree.size === this.#last?.checkpoint.size) return this.#last.checkpoint;
      const made = { origin, size: tree.size, root: rootOf(tree) };
      const note = signCheckpoint(made, key);
      await tx.addCheckpoint({ origin, size: tree.size, note }, clock());
      return { ...made, note };
    });
    this.#last = { checkpoint, at: this.#elapsed() };
    return checkpoint;
  }

  #elapsed(): number {
    return this.#options.elapsed?.() ?? performance.now();
  }
}
