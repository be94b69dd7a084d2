import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createFile } from "../baseline/durable.ts";

/** PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

const days = 3650;
const day = 86_400_000;

/** A certificate of the collector's own making, made once. Agents know it from their join token. */
export async function ownCertificate(state: string, now: number): Promise<Certificate> {
  const [certFile, keyFile] = [join(state, "tls.crt"), join(state, "tls.key")];
  if (!existsSync(certFile)) {
    const { generate } = await import("selfsigned");
    const made = await generate([{ name: "commonName", value: "fim-collector" }], {
      algorithm: "sha256",
      keyType: "ec",
      curve: "P-256",
      notBeforeDate: new Date(now - day),
      notAfterDate: new Date(now + days * day),
      extensions: [{ name: "basicConstraints", cA: true, critical: true }],
    });
    createFile(keyFile, made.private);
    createFile(certFile, made.cert);
  }
  return { cert: readFileSync(certFile, "utf8"), key: readFileSync(keyFile, "utf8") };
}

/** The certificate that `ownCertificate` made, DER. Undefined: none was made. */
export function pinnedCertificate(state: string): Buffer | undefined {
  const file = join(state, "tls.crt");
  return existsSync(file) ? new X509Certificate(readFileSync(file)).raw : undefined;
}

/** SHA-256, as browsers show it. */
export function fingerprintOf({ cert }: Pick<Certificate, "cert">): string {
  return new X509Certificate(cert).fingerprint256;
}
