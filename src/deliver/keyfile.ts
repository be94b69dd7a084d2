import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import type { Stats } from "node:fs";
import { IntegrityError, messageOf } from "../core/error.ts";
import { parseKeys } from "../core/record/webhook.ts";
import type { WebhookKey } from "../core/record/webhook.ts";

/** The keys in a file, read again when the file changes, because operators rotate keys while the agent runs. */
export class KeyFile {
  readonly #file: string;
  readonly #warn: (problem: string) => void;
  #version = "";
  #read: KeysRead;

  /** Throws without a usable key at the start. Later it warns of a bad file and keeps the old keys. */
  constructor(file: string, warn: (problem: string) => void) {
    this.#file = file;
    this.#warn = warn;
    const stats = statOf(file);
    this.#read = read(file);
    this.#version = versionOf(stats);
    this.#checkMode(stats);
  }

  get keys(): readonly WebhookKey[] {
    const stats = statOf(this.#file);
    const version = versionOf(stats);
    if (version !== this.#version) {
      this.#version = version;
      this.#reload(stats);
    }
    return this.#read.keys;
  }

  /** Identifies the present keys. They are random, so a digest reveals nothing. */
  get id(): string {
    return this.keys.length > 0 ? this.#read.id : "";
  }

  #reload(stats: Stats | undefined): void {
    try {
      this.#read = read(this.#file);
      this.#checkMode(stats);
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      this.#warn(`${error.message}; the keys read before stay in use`);
    }
  }

  /** A Kubernetes Secret has mode 0644 by default, so this only warns. */
  #checkMode(stats: Stats | undefined): void {
    const mode = stats?.mode ?? 0;
    if ((mode & 0o077) === 0) return;
    const found = (mode & 0o7777).toString(8).padStart(4, "0");
    this.#warn(`webhook keys ${this.#file}: expected mode 0600, found ${found}`);
  }
}

interface KeysRead {
  readonly keys: readonly WebhookKey[];
  readonly id: string;
}

function read(file: string): KeysRead {
  try {
    const text = readFileSync(file, "utf8");
    return { keys: parseKeys(text), id: createHash("sha256").update(text).digest("hex") };
  } catch (error) {
    const hint = "the file holds one key a line, whsec_… or whsk_…";
    const why = messageOf(error);
    throw new IntegrityError("KEY_INVALID", `webhook keys ${file}: ${why}`, { hint, cause: error });
  }
}

function versionOf(stats: Stats | undefined): string {
  return stats ? `${stats.dev}:${stats.ino}:${stats.mtimeMs}:${stats.size}` : "";
}

/** Undefined: the read that follows reports the problem. */
function statOf(file: string): Stats | undefined {
  try {
    return statSync(file);
  } catch {
    return undefined;
  }
}
