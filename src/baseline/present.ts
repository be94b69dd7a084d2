import type { KeyObject } from "node:crypto";
import { statSync } from "node:fs";
import { IntegrityError } from "../core/error.ts";
import { keyFile, loadKey } from "./key.ts";
import type { AgentKey } from "./key.ts";

/**
 * The key in force at each use, because another process may rotate it. Takes up another key only if that key vouches
 * for ours: a missing, altered or planted key file stops no agent.
 */
export class PresentKey implements AgentKey {
  readonly #stateDir: string;
  #key: AgentKey;
  /** The file that the key was read from. Absent at first, because it may be replaced after the read. */
  #file: string | undefined;

  constructor(stateDir: string, key: AgentKey) {
    this.#stateDir = stateDir;
    this.#key = key;
  }

  get id(): string {
    return this.#now().id;
  }

  get privateKey(): KeyObject {
    return this.#now().privateKey;
  }

  get publicKey(): KeyObject {
    return this.#now().publicKey;
  }

  get past(): readonly KeyObject[] {
    return this.#now().past;
  }

  #now(): AgentKey {
    const file = identityOf(keyFile(this.#stateDir));
    if (file === undefined || file === this.#file) return this.#key;
    const found = this.#load();
    if (found && follows(found, this.#key)) {
      this.#key = found;
      this.#file = file;
    }
    return this.#key;
  }

  #load(): AgentKey | undefined {
    try {
      return loadKey(this.#stateDir);
    } catch (error) {
      if (error instanceof IntegrityError) return undefined;
      throw error;
    }
  }
}

function follows(found: AgentKey, key: AgentKey): boolean {
  return [found.publicKey, ...found.past].some((one) => one.equals(key.publicKey));
}

/** A replaced file has another inode or change time. */
function identityOf(file: string): string | undefined {
  try {
    const { dev, ino, ctimeNs } = statSync(file, { bigint: true });
    return `${dev} ${ino} ${ctimeNs}`;
  } catch {
    return undefined;
  }
}
