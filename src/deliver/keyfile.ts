import { readFileSync, statSync } from "node:fs";
import type { Stats } from "node:fs";
import { IntegrityError, messageOf } from "../core/error.ts";
import { parseKeys } from "../core/record/webhook.ts";
import type { WebhookKey } from "../core/record/webhook.ts";

/** The keys in a file, read again whenever the file is another one than before: keys are rotated while we run. */
export class KeyFile {
  readonly #file: string;
  readonly #warn: (problem: string) => void;
  #version = "";
  #keys: readonly WebhookKey[];

  /** Throws when there is no usable key to begin with. A later bad file is told to warn, and the old keys stay. */
  constructor(file: string, warn: (problem: string) => void) {
    this.#file = file;
    this.#warn = warn;
    const stats = statOf(file);
    this.#keys = read(file);
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
    return this.#keys;
  }

  #reload(stats: Stats | undefined): void {
    try {
      this.#keys = read(this.#file);
      this.#checkMode(stats);
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      this.#warn(`${error.message}; the keys read before stay in use`);
    }
  }

  /** A Kubernetes Secret is mounted with mode 0644 unless asked otherwise, so this is said and no more. */
  #checkMode(stats: Stats | undefined): void {
    const mode = stats?.mode ?? 0;
    if ((mode & 0o077) === 0) return;
    const found = (mode & 0o7777).toString(8).padStart(4, "0");
    this.#warn(`webhook keys ${this.#file}: expected mode 0600, found ${found}`);
  }
}

function read(file: string): readonly WebhookKey[] {
  try {
    return parseKeys(readFileSync(file, "utf8"));
  } catch (error) {
    const hint = "the file holds one key a line, whsec_… or whsk_…";
    const why = messageOf(error);
    throw new IntegrityError("KEY_INVALID", `webhook keys ${file}: ${why}`, { hint, cause: error });
  }
}

function versionOf(stats: Stats | undefined): string {
  return stats ? `${stats.dev}:${stats.ino}:${stats.mtimeMs}:${stats.size}` : "";
}

/** Undefined: reading it will say what is wrong. */
function statOf(file: string): Stats | undefined {
  try {
    return statSync(file);
  } catch {
    return undefined;
  }
}
