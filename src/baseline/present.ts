import type { KeyObject } from "node:crypto";
import { statSync } from "node:fs";
import { IntegrityError } from "../core/error.ts";
import { keyFile, loadKey } from "./key.ts";
import type { AgentKey } from "./key.ts";

/**
 * The key that is in force at the moment of each use: another process may have rotated it. Another key is taken up only
 * when it says that ours was its former one; a key file that is gone, altered or planted therefore stops nobody.
 */
export class PresentKey implements AgentKey {
  readonly #stateDir: string;
  #key: AgentKey;
  /** The file that the key was read from; none yet, since it may have been replaced after it was read. */
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

/** A file that was replaced has another inode, or at least another time of change. */
function identityOf(file: string): string | undefined {
  try {
    const { dev, ino, ctimeNs } = statSync(file, { bigint: true });
    return `${dev} ${ino} ${ctimeNs}`;
  } catch {
    return undefined;
  }
}
