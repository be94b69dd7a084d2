import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { IntegrityError } from "../core/error.ts";
import { versionOfFile } from "./secret.ts";

/** The trusted authorities in a file (PEM), read again when it changes: certificates are renewed while we run. */
export class Authorities {
  readonly #file: string;
  #version: string;
  #pem: Buffer;

  /** Throws without a certificate at the start. Later a file without one leaves those read before in use. */
  constructor(file: string) {
    this.#file = file;
    this.#version = versionOfFile(file);
    this.#pem = readAuthorities(file);
  }

  get pem(): Buffer {
    const version = versionOfFile(this.#file);
    if (version !== this.#version) {
      this.#version = version;
      this.#reload();
    }
    return this.#pem;
  }

  #reload(): void {
    try {
      this.#pem = readAuthorities(this.#file);
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
    }
  }
}

function readAuthorities(file: string): Buffer {
  const what = `certificate authority ${file}`;
  const hint = "name a PEM file that the agent may read, or leave ca out to trust the system's";
  let pem: Buffer;
  try {
    pem = readFileSync(file);
  } catch (cause) {
    throw new IntegrityError("CONFIG_INVALID", `${what}: cannot be read`, { hint, cause });
  }
  if (isCertificate(pem)) return pem;
  throw new IntegrityError("CONFIG_INVALID", `${what}: holds no certificate`, { hint });
}

/** TLS takes other bytes too, and then trusts no certificate. */
function isCertificate(pem: Buffer): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}
