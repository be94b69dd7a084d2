import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { CollectorSettings } from "./settings.ts";
import { createFile } from "../baseline/durable.ts";

/** PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

const days = 3650;
const day = 86_400_000;

/** On the network, and without a certificate of the operator's, the collector makes its own. */
export function makesCertificate({ tls, listen, plainHttp }: Speaking): boolean {
  return !tls && !plainHttp && !isLoopback(listen.host);
}

type Speaking = Pick<CollectorSettings, "tls" | "listen" | "plainHttp">;

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** A certificate of the collector's own making, made once. Agents know it from their join token. */
export async function ownCertificate(state: string, now: number): Promise<Certificate> {
  const made = madeCertificate(state);
  if (made) return made;
  const { generate } = await import("selfsigned");
  const { cert, private: key } = await generate([{ name: "commonName", value: "fim-collector" }], {
    algorithm: "sha256",
    keyType: "ec",
    curve: "P-256",
    notBeforeDate: new Date(now - day),
    notAfterDate: new Date(now + days * day),
    extensions: [{ name: "basicConstraints", cA: true, critical: true }],
  });
  const files = filesIn(state);
  createFile(files.key, key);
  createFile(files.cert, cert);
  return readPair(files);
}

/** What `ownCertificate` made. Undefined: nothing yet. */
export function madeCertificate(state: string): Certificate | undefined {
  const files = filesIn(state);
  return existsSync(files.cert) ? readPair(files) : undefined;
}

function readPair({ cert, key }: Certificate): Certificate {
  return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
}

function filesIn(state: string): Certificate {
  return { cert: join(state, "tls.crt"), key: join(state, "tls.key") };
}

/** The certificate that `ownCertificate` made, DER. Undefined: none was made. */
export function pinnedCertificate(state: string): Buffer | undefined {
  const { cert: file } = filesIn(state);
  return existsSync(file) ? new X509Certificate(readFileSync(file)).raw : undefined;
}

/** SHA-256, as browsers show it. */
export function fingerprintOf({ cert }: Pick<Certificate, "cert">): string {
  return new X509Certificate(cert).fingerprint256;
}
