import { advance, openCheckpoint } from "../../core/tlog/checkpoint.ts";
import { parseVkey } from "../../core/tlog/note.ts";
import { parseHashes } from "../../core/tlog/proof-text.ts";
import type { Sent } from "./answer.ts";

/** Text that the agent keeps through restarts. Unsigned: an attacker on the node can alter it, and blind this node alone. */
export interface Memory {
  get(): string | undefined;
  set(text: string): void;
}

/**
 * The agent as a witness of the collector's log: it keeps the last checkpoint, and accepts only one whose tree begins
 * with the tree that it knows. So a collector cannot take records back without every agent seeing it.
 */
export class Witness {
  readonly #memory: Memory;

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** The key with which the collector signs checkpoints, as it gave it at enrolment. */
  trust(vkey: string): void {
    if (this.#read().vkey !== vkey) this.#write({ vkey });
  }

  /** Takes the next checkpoint of the same collector, whatever its log was before. */
  forget(): void {
    const { vkey } = this.#read();
    if (vkey !== undefined) this.#write({ vkey });
  }

  /** Whether a collector gave its key: this node joined it once. */
  knowsKey(): boolean {
    return this.#read().vkey !== undefined;
  }

  /** The size of the tree that it knows: the next answer must prove that it goes on from there. */
  size(): number | undefined {
    const { vkey, note } = this.#read();
    return openCheckpoint(note ?? "", keysOf(vkey))?.size;
  }

  /** Why the checkpoint of an answer shows a log that was rewritten. Undefined: it does not. */
  fault({ checkpoint, consistency }: Pick<Sent, "checkpoint" | "consistency">): string | undefined {
    const { vkey, note } = this.#read();
    if (checkpoint === undefined || vkey === undefined) return undefined;
    const keys = keysOf(vkey);
    const previous = openCheckpoint(note ?? "", keys);
    const proof = consistency && parseHashes(consistency);
    const next = advance(previous, checkpoint, { keys, ...(proof && { proof }) });
    if ("fault" in next) return next.fault;
    const hasGrown = previous !== undefined && next.checkpoint.size > previous.size;
    if (hasGrown && !proof)
      return `nothing shows that the log goes on from ${previous.size} records`;
    this.#write({ vkey, note: checkpoint });
    return undefined;
  }

  #read(): Known {
    try {
      return JSON.parse(this.#memory.get() ?? "{}") as Known;
    } catch {
      return {};
    }
  }

  #write(known: Known): void {
    this.#memory.set(JSON.stringify(known));
  }
}

interface Known {
  readonly vkey?: string;
  /** The last checkpoint, as signed. */
  readonly note?: string;
}

function keysOf(vkey: string | undefined) {
  const key = parseVkey(vkey ?? "");
  return key ? [key] : [];
}
