import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import type { Stats } from "node:fs";
import { IntegrityError, messageOf } from "../core/error.ts";
import { parseKeys } from "../core/record/webhook.ts";
import type { WebhookKey } from "../core/record/webhook.ts";

/** What a secret file holds: keys that sign, or one token that is sent. */
export interface Secret {
  readonly keys: readonly WebhookKey[];
  readonly token: string;
}

export type SecretKind = "keys" | "token";

export const noSecret: Secret = { keys: [], token: "" };

/** The text of a secret file. Errors never show it. */
export function parseSecret(text: string, kind: SecretKind): Secret {
  if (kind === "keys") return { keys: parseKeys(text), token: "" };
  const token = text.trim();
  // RFC 9110 §5.5: what a header may hold, without spaces.
  if (/^[\x21-\x7e]{1,4096}$/.test(token)) return { keys: [], token };
  throw new IntegrityError("KEY_INVALID", "expected one token on one line, found something else");
}

const names = { keys: "webhook keys", token: "token" } as const;

/** The secret in a file, read again when the file changes, because operators rotate keys while the agent runs. */
export class SecretFile {
  readonly #file: string;
  readonly #kind: SecretKind;
  readonly #warn: (problem: string) => void;
  #version = "";
  #read: SecretRead;

  /** Throws without a usable secret at the start. Later it warns of a bad file and keeps the old secret. */
  constructor(file: string, kind: SecretKind, warn: (problem: string) => void) {
    this.#file = file;
    this.#kind = kind;
    this.#warn = warn;
    const stats = statOf(file);
    this.#read = read(file, kind);
    this.#version = versionOf(stats);
    this.#checkMode(stats);
  }

  get secret(): Secret {
    return this.#current().secret;
  }

  /** Identifies the present secret. It is random, so a digest reveals nothing. */
  get id(): string {
    return this.#current().id;
  }

  #current(): SecretRead {
    const stats = statOf(this.#file);
    const version = versionOf(stats);
    if (version !== this.#version) {
      this.#version = version;
      this.#reload(stats);
    }
    return this.#read;
  }

  #reload(stats: Stats | undefined): void {
    try {
      this.#read = read(this.#file, this.#kind);
      this.#checkMode(stats);
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      const kept = this.#kind === "keys" ? "keys read before stay" : "token read before stays";
      this.#warn(`${error.message}; the ${kept} in use`);
    }
  }

  /** A Kubernetes Secret has mode 0644 by default, so this only warns. */
  #checkMode(stats: Stats | undefined): void {
    const mode = stats?.mode ?? 0;
    if ((mode & 0o077) === 0) return;
    const found = (mode & 0o7777).toString(8).padStart(4, "0");
    this.#warn(`${names[this.#kind]} ${this.#file}: expected mode 0600, found ${found}`);
  }
}

interface SecretRead {
  readonly secret: Secret;
  readonly id: string;
}

function read(file: string, kind: SecretKind): SecretRead {
  try {
    const text = readFileSync(file, "utf8");
    const id = createHash("sha256").update(text).digest("hex");
    return { secret: parseSecret(text, kind), id };
  } catch (error) {
    const hint =
      kind === "keys"
        ? "the file holds one key a line, whsec_… or whsk_…"
        : "the file holds the token alone, on one line";
    const message = `${names[kind]} ${file}: ${messageOf(error)}`;
    throw new IntegrityError("KEY_INVALID", message, { hint, cause: error });
  }
}

/** Changes when the file does. */
export function versionOfFile(file: string): string {
  return versionOf(statOf(file));
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
