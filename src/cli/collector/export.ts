import { openStore, requireKey } from "../../collector/collector.ts";
import { writeEvidence } from "../../collector/evidence/export.ts";
import { evidenceOf } from "../../collector/evidence/source.ts";
import { originOf } from "../../collector/log/checkpoints.ts";
import type { CollectorSettings } from "../../collector/settings.ts";
import type { NodeName, Store } from "../../collector/store/store.ts";
import { IntegrityError } from "../../core/error.ts";
import { present } from "../../core/present.ts";
import { exit } from "../fail.ts";
import type { Exit } from "../fail.ts";
import { sinceOf } from "../since.ts";
import { requireNoTerminal, writeAll } from "../write-all.ts";

/** `export [--node NAME] [--since T]`: an evidence file on stdout, for `verify FILE`. */
export async function exportEvidence(
  settings: CollectorSettings,
  given: Readonly<Record<string, unknown>>,
): Promise<Exit> {
  const since = sinceOf(given["since"]);
  requireNoTerminal("fim-collector");
  const key = requireKey(settings.state);
  await using store = await openStore(settings);
  const node = typeof given["node"] === "string" ? await find(store, given["node"]) : undefined;
  const facts = {
    key: key.privateKey,
    origin: originOf(settings.name),
    at: new Date().toISOString(),
    node: node && `${node.cluster}/${node.node}`,
    since: since === undefined ? undefined : new Date(since).toISOString(),
  };
  const evidence = await evidenceOf(store, key, present({ node, since }));
  await writeEvidence(evidence, present(facts), writeAll);
  return exit.fine;
}

/** A node by its name, or by "<cluster>/<node>" where several clusters have one of this name. */
async function find(store: Store, wanted: string): Promise<NodeName> {
  const nodes = await store.nodes();
  const found = nodes.filter(
    ({ cluster, node }) => node === wanted || `${cluster}/${node}` === wanted,
  );
  const [one] = found;
  if (one && found.length === 1) return { cluster: one.cluster, node: one.node };
  throw one
    ? wrong(`--node ${wanted}: several are called so`, `name the cluster too: ${namesOf(found)}`)
    : wrong(`--node ${wanted}: no node of this name joined`, `these did: ${namesOf(nodes)}`);
}

const mostNames = 10;

/** "default/cp-1, default/cp-2" */
function namesOf(nodes: readonly NodeName[]): string {
  if (nodes.length === 0) return "none yet";
  const names = nodes.slice(0, mostNames).map(({ cluster, node }) => `${cluster}/${node}`);
  const more = nodes.length - names.length;
  return `${names.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function wrong(message: string, hint: string): IntegrityError {
  return new IntegrityError("USAGE", message, { hint });
}
