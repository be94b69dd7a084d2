import { randomBytes } from "node:crypto";
import type { Settings } from "../../config/settings.ts";
import { uuidv7 } from "../../core/uuid.ts";
import type { State } from "../../node/state.ts";
import { version } from "../../node/version.ts";
import { transact } from "../../sqlite/open.ts";

/** Appends an event of the agent to the chain, from a command. Returns the record's bytes. */
export function recordEvent(
  state: State,
  { node, cluster }: Settings,
  detail: Readonly<Record<string, unknown>> & { readonly event: string },
): Buffer {
  const { event, ...more } = detail;
  const at = new Date().toISOString();
  const uid = uuidv7({ at: Date.parse(at), count: 0 }, randomBytes(8));
  const body = { uid, event, at, node, cluster, version, severity: "info", ...more };
  return transact(state.db, () => {
    const entry = { kind: "agent", severity: "info", body: () => body } as const;
    const { seq } = state.outbox.append([entry], at);
    return state.outbox.bytesOf(seq);
  });
}
