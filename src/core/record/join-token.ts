import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";

/** What a join token holds. */
export interface JoinToken {
  /** The part that is sent. */
  readonly secret: string;
  /** PEM of the collector's certificate, where it made its own: no other is trusted then. */
  readonly certificate?: string;
}

/** "fimjoin_<secret>", or with "." and the certificate's DER in base64url (RFC 4648 §5). */
export function printJoinToken(secret: string, certificate: Buffer | undefined): string {
  return certificate ? `${secret}.${certificate.toString("base64url")}` : secret;
}

/** A token of another kind, such as one of a service account, is its own secret. */
export function parseJoinToken(text: string): JoinToken {
  const [, secret, encoded] = /^(fimjoin_[\w-]+)\.([\w-]+)$/.exec(text) ?? [];
  if (secret === undefined || encoded === undefined) return { secret: text };
  try {
    const der = Buffer.from(encoded, "base64url");
    return { secret, certificate: new X509Certificate(der).toString() };
  } catch {
    return { secret: text };
  }
}
