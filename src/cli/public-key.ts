import { createPublicKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { publicKeyOf } from "../core/record/dsse.ts";
import { parseVkey } from "../core/tlog/note.ts";
import { IntegrityError } from "../core/error.ts";

/** What `key show` printed, PEM, a verifier key, or the raw 32 bytes in base64 with or without "whpk_" before them. */
export function readPublicKey(file: string): KeyObject {
  try {
    const text = readFileSync(file, "utf8").trim();
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
