import { z } from "zod";
import { severities } from "../../core/policy/rule.ts";
import type { Heartbeat } from "../../core/record/heartbeat.ts";

const count = z.number().int().nonnegative();
const text = z.string().max(4096);

/** What a signed heartbeat must hold. The node may be in an attacker's hands, so everything is bounded. */
const schema = z.object({
  v: z.literal(1),
  chain: text,
  seq: count,
  head: text,
  at: z.iso.datetime(),
  nonce: text,
  every: z.number().int().min(1000).max(3_600_000),
  version: text,
  boot: text.exactOptional(),
  baseline: z.object({ counter: count, digest: text, rows: count }),
  policy: z.object({ name: text, digest: text }),
  engine: text,
  attribution: text,
  watched: count,
  shared: z.record(text, text).exactOptional(),
  etcd: z.object({ wal: text, snapshot: text.exactOptional() }).exactOptional(),
  drift: z.record(z.enum(severities), count),
  degraded: z.array(text).max(100),
  waiting: z.object({ records: count, bytes: count }),
}) satisfies z.ZodType<Heartbeat>;

const mostBytes = 64 * 1024;

/** Signed bytes -> heartbeat. Undefined: they are of another form. */
export function parseHeartbeat(payload: Buffer): Heartbeat | undefined {
  if (payload.length > mostBytes) return undefined;
  try {
    return schema.safeParse(JSON.parse(payload.toString("utf8"))).data;
  } catch {
    return undefined;
  }
}
