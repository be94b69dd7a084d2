import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { Facts } from "./outlier.ts";

/** Flags that kubeadm sets for each node: its address, its name, and the members when it joined. */
const ofNode: ReadonlySet<string> = new Set([
  "--advertise-address",
  "--advertise-client-urls",
  "--initial-advertise-peer-urls",
  "--initial-cluster",
  "--initial-cluster-state",
  "--listen-client-urls",
  "--listen-peer-urls",
  "--name",
]);

const flag = /^\s*-\s+(["']?)(--[A-Za-z][\w.-]{0,100})(?:=(.*?))?\1\s*$/gm;
const image = /^\s*(?:-\s+)?image:\s*(["']?)(\S+?)\1\s*$/gm;
const mostFacts = 200;
const mostCharacters = 200;
/** Bytes of one manifest's facts as JSON: four of them fit into a heartbeat, which a collector takes up to 64 KiB. */
const mostBytes = 8 * 1024;

/**
 * What a static pod's manifest says that is equal on all control-plane nodes: "kube-apiserver --anonymous-auth" ->
 * "false", "kube-apiserver image" -> its reference. A value over 200 characters is given by its SHA-256.
 * Reads lines as kubeadm writes them: one flag each. What another form hides differs from the other nodes.
 */
export function manifestFacts(component: string, text: string): Facts {
  const flags = [...text.matchAll(flag)]
    .map(([, , name = "", value = "true"]) => [name, value] as const)
    .filter(([name]) => !ofNode.has(name));
  const images = [...text.matchAll(image)].map(([, , value = ""]) => ["image", value] as const);
  const found = Map.groupBy([...images, ...flags].slice(0, mostFacts), ([name]) => name);
  const facts = [...found].map(([name, values]) => {
    const all = values.map(([, value]) => value).toSorted();
    return [`${component} ${name}`, bounded(all.join(","))] as const;
  });
  let bytes = 0;
  return Object.fromEntries(
    facts.filter((fact) => {
      bytes += Buffer.byteLength(JSON.stringify(fact));
      return bytes <= mostBytes;
    }),
  );
}

function bounded(value: string): string {
  if (value.length <= mostCharacters) return value;
  return `sha256:${createHash("sha256").update(value).digest("hex")}`;
}
