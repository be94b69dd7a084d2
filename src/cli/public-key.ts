import { createPublicKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { publicKeyOf } from "../core/record/dsse.ts";
import { parseVkey } from "../core/tlog/note.ts";
import { reasonOf } from "../config/read.ts";
import { IntegrityError } from "../core/error.ts";

/** What `key show` printed, PEM, a verifier key, or the raw 32 bytes in base64 with or without "whpk_" before them. */
export function readPublicKey(file: string): KeyObject {
  const text = textOf(file).trim();
  try {
    const pem = /-----BEGIN PUBLIC KEY-----[^-]*-----END PUBLIC KEY-----/.exec(text)?.[0];
    if (pem !== undefined) return createPublicKey(pem.replaceAll("\\n", "\n"));
    return (
      parseVkey(text)?.publicKey ?? publicKeyOf(Buffer.from(text.replace(/^whpk_/, ""), "base64"))
    );
  } catch (cause) {
    throw new IntegrityError("USAGE", `key ${file}: expected an Ed25519 public key`, {
      hint: "PEM, or the base64 that key show prints",
      cause,
    });
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new IntegrityError("USAGE", `key ${file}: ${reasonOf(cause)}`, {
      hint: "name a file that holds what key show printed",
      cause,
    });
  }
}
