import { openState } from "../../node/state.ts";
import { recordBaseline } from "../../agent/commands/baseline-record.ts";
import type { Settings } from "../../config/settings.ts";
import type { AgentKey, Rotation } from "../../baseline/key.ts";
import { loadKey, rotateKey } from "../../baseline/key.ts";
import { rawPublicKey } from "../../core/record/dsse.ts";
import { IntegrityError } from "../../core/error.ts";
import { exit } from "../fail.ts";
import type { Exit } from "../fail.ts";
import { printResult } from "../print.ts";
import { transact } from "../../sqlite/open.ts";

/** `key show` */
export async function show(settings: Settings): Promise<Exit> {
  const key = loadKey(settings.state);
  if (!key)
    throw new IntegrityError("KEY_INVALID", `key: there is none in ${settings.state}`, {
      hint: "it is made with the first baseline: fim-agent baseline",
    });
  print(settings, key);
  return exit.fine;
}

/** `key rotate`: the old key signs the new one into the chain, then the new one signs the baseline again. */
export async function rotate(settings: Settings): Promise<Exit> {
  const at = new Date().toISOString();
  const after = handOver(settings, at);
  using state = openState(settings);
  const former = state.baseline.trust();
  state.baseline.accept([], {
    node: former.node,
    cluster: former.cluster,
    policy: { name: former.policy.name, text: state.baseline.policy() ?? "" },
    at,
    reason: "key rotated",
    also: (statement) => recordBaseline(state, { statement, what: "rekeyed" }),
  });
  print(settings, after);
  return exit.fine;
}

/**
 * The old key's last record names the new key. The chain is locked while the key file is replaced: another process
 * that appends before has the old key, and one that appends after has the new one.
 */
function handOver(settings: Settings, at: string): AgentKey {
  using state = openState(settings);
  state.baseline.trust();
  const record = ({ before, after }: Rotation): void => {
    const publicKey = rawPublicKey(after.publicKey).toString("base64");
    const body = { at, before: before.id, after: after.id, publicKey };
    state.outbox.append([{ kind: "rekey", severity: "info", body: () => body }], at);
  };
  return transact(state.db, () => rotateKey(settings.state, at, record)).after;
}

function print(settings: Settings, key: AgentKey): void {
  const raw = rawPublicKey(key.publicKey).toString("base64");
  const pem = key.publicKey.export({ type: "spki", format: "pem" }).toString().trim();
  const result = { key: key.id, publicKey: raw, webhook: `whpk_${raw}`, pem };
  printResult(settings.format, result, [`key ${key.id}`, `raw ${raw}`, pem]);
}
