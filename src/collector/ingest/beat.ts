import { setBack } from "../../core/record/anchored.ts";
import type { RecordedBaseline } from "../../core/record/anchored.ts";
import { etcdSetBack } from "../../core/record/etcd.ts";
import { publicKeyOf } from "../../core/record/dsse.ts";
import { openHeartbeat } from "../../core/record/heartbeat.ts";
import type { Heartbeat } from "../../core/record/heartbeat.ts";
import type { StoredNode } from "../store/store.ts";
import type { Part } from "./body.ts";
import { lastHeartbeat } from "../node-state.ts";
import { parseHeartbeat } from "./heartbeat.ts";
import type { Done, Receiving } from "./receiving.ts";

/** Verifies a heartbeat, and compares what it says with what the node's records said. */
export async function receiveHeartbeat(at: Receiving, part: Part): Promise<Done> {
  const { sender, raise } = at;
  const { node } = sender;
  const present = node.keys.filter(({ keyId }) => keyId === node.keyId);
  const payload = openHeartbeat(
    part.envelope,
    present.map(({ publicKey }) => publicKeyOf(publicKey)),
  );
  if (!payload) return { error: "signature", reason: "the heartbeat is not by the node's key" };
  const heartbeat = parseHeartbeat(payload);
  if (heartbeat?.chain !== part.chain)
    return { error: "malformed", reason: "the heartbeat is of another form" };
  const head = (await sender.chain(heartbeat.chain))?.head;
  if (!isNews(at, heartbeat)) return { records: 0, head };
  await judge(at, heartbeat, head?.seq ?? 0);
  sender.hear({ heartbeat: { envelope: part.text, payload: payload.toString("utf8") } });
  if (await sender.endAlarm("silent")) await raise("heard", "info", "it is heard again");
  return { records: 0, head };
}

/** Its nonce is ours, and later than that of the last one: a replayed heartbeat keeps no node alive. */
function isNews({ sender, timeOf }: Receiving, { nonce }: Heartbeat): boolean {
  const made = timeOf(nonce);
  if (made === undefined) return false;
  const last = lastHeartbeat(sender.node);
  return made > (last === undefined ? 0 : (timeOf(last.nonce) ?? 0));
}

async function judge(at: Receiving, heartbeat: Heartbeat, seq: number): Promise<void> {
  const { sender, raise } = at;
  const { node } = sender;
  const baseline = recordedBaseline(node);
  const isOfChain = node.chain === undefined || node.chain === heartbeat.chain;
  const why = isOfChain
    ? setBack(heartbeat, { seq, ...(baseline && { baseline }) })
    : `its chain is ${heartbeat.chain}, expected ${node.chain}`;
  const etcd = etcdSetBack(lastHeartbeat(node)?.etcd, heartbeat.etcd);
  if (etcd !== undefined) await raise("rollback", "critical", etcd);
  if (why === undefined) await sender.endAlarm("rollback");
  else if (await sender.beginAlarm("rollback")) await raise("rollback", "critical", why);
}

function recordedBaseline({ baseline }: StoredNode): RecordedBaseline | undefined {
  const { counter, digest } = JSON.parse(baseline ?? "{}") as Partial<RecordedBaseline>;
  return typeof counter === "number" && typeof digest === "string"
    ? { counter, digest }
    : undefined;
}
