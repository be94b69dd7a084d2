import { Buffer } from "node:buffer";
import type { KeyObject } from "node:crypto";
import { createPublicKey } from "node:crypto";
import type { Severity } from "../policy/rule.ts";
import { keyIdOf, open, seal } from "./dsse.ts";
import type { Envelope } from "./dsse.ts";
import type { EtcdMarks } from "./etcd.ts";

/** The state of an agent, signed and sent at an interval: what a collector cannot see in the chain (docs/formats.md). */
export interface Heartbeat {
  readonly v: 1;
  /** "<cluster>/<node>/<epoch>" */
  readonly chain: string;
  /** The last record of the chain, sent or not. */
  readonly seq: number;
  readonly head: string;
  /** RFC 3339, milliseconds. */
  readonly at: string;
  /** Given by the collector since the last heartbeat: an old heartbeat proves nothing. */
  readonly nonce: string;
  /** Milliseconds until the next one. */
  readonly every: number;
  /** The agent's version. */
  readonly version: string;
  /** /proc/sys/kernel/random/boot_id */
  readonly boot?: string;
  readonly baseline: { readonly counter: number; readonly digest: string; readonly rows: number };
  readonly policy: { readonly name: string; readonly digest: string };
  readonly engine: string;
  readonly attribution: string;
  readonly watched: number;
  /** What is equal on all control-plane nodes of a cluster: SHA-256 of files by path, flags and images of static pods. */
  readonly shared?: Readonly<Record<string, string>>;
  /** Of a node with an etcd member. */
  readonly etcd?: EtcdMarks;
  /** Paths that differ from what is approved. */
  readonly drift: Readonly<Record<Severity, number>>;
  /** The agent's present troubles. */
  readonly degraded: readonly string[];
  /** Records that no collector has confirmed. */
  readonly waiting: { readonly records: number; readonly bytes: number };
}

export const heartbeatType = "application/vnd.fim-agent.heartbeat.v1+json";

export function sealHeartbeat(heartbeat: Heartbeat, key: KeyObject): Envelope {
  const payload = { ...heartbeat, key: keyIdOf(createPublicKey(key)) };
  return seal(heartbeatType, Buffer.from(JSON.stringify(payload)), key);
}

/** The signed payload, unparsed. Undefined: none of these keys signed it. */
export function openHeartbeat(envelope: Envelope, keys: readonly KeyObject[]): Buffer | undefined {
  for (const key of keys) {
    const payload = open(heartbeatType, envelope, key);
    if (payload) return payload;
  }
  return undefined;
}
