import type { Settings } from "../../config/settings.ts";
import { classify } from "../../core/backoff.ts";
import type { Answer } from "../../core/backoff.ts";
import { IntegrityError } from "../../core/error.ts";
import { makeReceiver } from "../../deliver/formats/formats.ts";
import { sinkName } from "../../deliver/sink.ts";
import type { State } from "../../node/state.ts";
import { recordEvent } from "./event-record.ts";

type WebhookSettings = Settings["webhooks"][number];

/** The answer of one sink to the test event. */
export interface Tested {
  readonly sink: string;
  readonly ok: boolean;
  /** "status 204", "timeout: …", "status 400, code 6, Invalid data format" */
  readonly answer: string;
  /** The sink was disabled by a 410, and the answer enabled it. */
  readonly enabled: boolean;
}

interface Context {
  readonly settings: Settings;
  readonly warn: (problem: string) => void;
}

/** Sends a signed test event to the sinks. It is in the chain first, like every event that a sink gets. */
export async function testWebhooks(
  state: State,
  name: string | undefined,
  { settings, warn }: Context,
): Promise<readonly Tested[]> {
  const webhooks = chosen(settings, name);
  const sinks = webhooks.map(sinkName);
  const bytes = recordEvent(state, settings, { event: "test", sinks });
  const tested: Tested[] = [];
  for (const webhook of webhooks) {
    const { answer, ok } = await send(webhook, bytes, warn);
    const sink = sinkName(webhook);
    const isEnabled = ok && state.queue.state(sink)?.disabled === true;
    if (isEnabled) {
      state.queue.enable(sink);
      const reason = `webhook test was answered with ${answer}`;
      recordEvent(state, settings, { event: "recovered", trouble: `delivery ${sink}`, reason });
    }
    tested.push({ sink, ok, answer, enabled: isEnabled });
  }
  return tested;
}

/** By the sink's name in metrics and in /healthz, its host or its URL. */
function chosen({ webhooks }: Settings, name: string | undefined): readonly WebhookSettings[] {
  if (webhooks.length === 0)
    throw new IntegrityError("CONFIG_INVALID", "webhook test: no webhook is configured", {
      hint: "list one under webhooks: in the file given with --config",
    });
  const found = webhooks.filter(
    (one) =>
      name === undefined ||
      [sinkName(one), new URL(one.url).host, new URL(one.url).hostname, one.url].includes(name),
  );
  if (found.length > 0) return found;
  const names = webhooks.map(sinkName).join(", ");
  throw new IntegrityError("USAGE", `webhook test: no webhook is named ${name}`, {
    hint: `the configured ones are: ${names}`,
  });
}

async function send(
  webhook: WebhookSettings,
  bytes: Buffer,
  warn: Context["warn"],
): Promise<{ readonly answer: string; readonly ok: boolean }> {
  using receiver = makeReceiver(webhook, { clock: Date.now, warn });
  const never = new AbortController().signal;
  const answer = (await receiver.post([{ seq: 0, bytes }], never)) ?? aborted;
  const outcome = receiver.judge?.(answer, 1) ?? classify(answer, Date.now());
  const why = outcome.kind === "delivered" ? outcome.refused?.why : outcome.why;
  return { answer: why ?? textOf(answer), ok: why === undefined };
}

const aborted: Answer = { kind: "network", detail: "aborted" };

/** An answer that is as it should be. */
function textOf(answer: Answer): string {
  if (answer.kind === "status") return `status ${answer.status}`;
  return "sent; syslog confirms nothing, look for it at the receiver";
}
