import { createHash } from "node:crypto";
import type { Severity } from "../core/policy/rule.ts";
import type { FormatName } from "./formats/names.ts";

/** One receiver of alerts, as a configuration describes it. File paths are absolute. */
export interface SinkSettings {
  readonly format: FormatName;
  /** For some services its path is the secret. */
  readonly url: string;
  /** File that the URL was read from. */
  readonly urlFile?: string;
  /** File with the keys or the token. */
  readonly secret?: string;
  /** File with the only trusted certificate authorities. */
  readonly ca?: string;
  /** Address of an HTTP proxy. */
  readonly proxy?: string;
  readonly minSeverity: Severity;
  /** Sends records of these clusters only. */
  readonly clusters?: readonly string[];
  /** Sends alerts of these rules only: ids, in which "*" stands for any text. */
  readonly rules?: readonly string[];
  /** The address of a record's page at the collector, with {uid}, {node} and {cluster} in it. */
  readonly link?: string;
}

/** The sink's name in the outbox and in metrics: stable for its settings, and reveals only its host. */
export function sinkName({ format, url, secret }: SinkSettings): string {
  const { host } = new URL(url);
  if (format === "standard") return `webhook:${host}:${digestOf(url)}`;
  // Two tokens at one address are two receivers, as with PagerDuty.
  return `${format}:${host}:${digestOf(`${url}\n${secret ?? ""}`)}`;
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}

/** Whether a stranger on the network can read what is sent and answer in the receiver's place. */
export function isForgeable(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return (
    /^(?:http|tcp):$/.test(protocol) && !/^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)
  );
}
