import { createHash } from "node:crypto";
import type { Answer } from "../../core/backoff.ts";
import { hashRecord, parseRecord } from "../../core/record/chain.ts";
import type { ChainRecord } from "../../core/record/chain.ts";
import type { ChangeKind } from "../../core/change/change.ts";
import { IntegrityError } from "../../core/error.ts";
import { severities } from "../../core/policy/rule.ts";
import type { Severity } from "../../core/policy/rule.ts";
import { signatureHeader, webhookBody, webhookType } from "../../core/record/webhook.ts";
import { Poster } from "../http.ts";
import { KeyFile } from "../keyfile.ts";
import type { Leased } from "../../core/record/queued.ts";
import type { Receiver } from "../deliver.ts";
import type { FormatName } from "./names.ts";

export interface WebhookSettings {
  readonly url: string;
  /** File with one key a line. */
  readonly secret: string;
  readonly format: FormatName;
  /** Sends no alert below this severity; events of the agent are always sent. */
  readonly minSeverity: Severity;
  /** File with the only trusted certificate authorities. */
  readonly ca?: string;
}

export interface WebhookContext {
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly warn: (problem: string) => void;
  /** Milliseconds for one attempt. */
  readonly timeout?: number;
}

/** The request for a record; its id lets the receiver drop duplicates. */
interface WebhookEvent {
  readonly id: string;
  readonly body: Buffer;
  readonly severity: Severity | "always";
}

/** The sink's name in the outbox and in metrics: stable for a URL, and reveals only its host. */
export function webhookName(url: string): string {
  const digest = createHash("sha256").update(url).digest("hex").slice(0, 8);
  return `webhook:${new URL(url).host}:${digest}`;
}

/** Whether a stranger on the network can answer in the receiver's place. */
export function isForgeable(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === "http:" && !/^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}

/** Record -> its webhook request. Undefined: no webhook carries this kind. */
export function webhookEvent(bytes: Buffer): WebhookEvent | undefined {
  const record = parseRecord(bytes);
  if (!record) {
    throw new IntegrityError("CHAIN_BROKEN", "outbox: expected a chain record, found other bytes", {
      hint: "the database was altered or damaged; look with: fim-agent verify",
    });
  }
  const found = describe(record);
  if (!found) return undefined;
  return {
    id: found.uid ?? hashRecord(bytes),
    body: webhookBody(found.type, record.at, bodyText(bytes)),
    severity: found.severity,
  };
}

/** Sends records as Standard Webhooks (github.com/standard-webhooks/standard-webhooks, 1.0.0). */
export class Webhook implements Receiver, Disposable {
  readonly maxPerPost = 1;
  readonly #settings: WebhookSettings;
  readonly #clock: () => number;
  readonly #keys: KeyFile;
  readonly #poster: Poster;
  readonly #events = new WeakMap<Leased, { readonly event: WebhookEvent | undefined }>();

  constructor(settings: WebhookSettings, context: WebhookContext) {
    this.#settings = settings;
    this.#clock = context.clock;
    this.#keys = new KeyFile(settings.secret, context.warn);
    this.#poster = new Poster({
      url: settings.url,
      ...(settings.ca === undefined ? {} : { ca: settings.ca }),
      ...(context.timeout === undefined ? {} : { timeout: context.timeout }),
    });
  }

  wants(record: Leased): boolean {
    const event = this.#eventOf(record);
    if (!event) return false;
    if (event.severity === "always") return true;
    return rank(event.severity) >= rank(this.#settings.minSeverity);
  }

  async post(records: readonly Leased[], signal: AbortSignal): Promise<Answer | undefined> {
    const [record] = records;
    const event = record && this.#eventOf(record);
    if (!event || records.length > 1)
      throw new Error("a webhook sends one wanted record at a time");
    const { id, body } = event;
    const timestamp = Math.floor(this.#clock() / 1000);
    const headers = {
      "content-type": "application/json",
      "user-agent": "fim-agent",
      "webhook-id": id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": signatureHeader({ id, timestamp, body }, this.#keys.keys),
    };
    const answer = await this.#poster.post({ headers, body }, signal);
    return answer?.kind === "status" && isForgeable(this.#settings.url)
      ? { ...answer, isForgeable: true }
      : answer;
  }

  keysId(): string {
    return this.#keys.id;
  }

  [Symbol.dispose](): void {
    this.#poster[Symbol.dispose]();
  }

  #eventOf(record: Leased): WebhookEvent | undefined {
    const known = this.#events.get(record) ?? { event: webhookEvent(record.bytes) };
    this.#events.set(record, known);
    return known.event;
  }
}

interface Described {
  readonly type: string;
  readonly uid: string | undefined;
  readonly severity: Severity | "always";
}

/** Agent events that webhooks carry. Heartbeats go to the collector alone. */
const agentEvents = new Set([
  "started",
  "stopped",
  "degraded",
  "recovered",
  "baseline",
  "dropped",
  "policy",
  "test",
]);

function describe(record: ChainRecord): Described | undefined {
  const body = fieldsOf(record.body);
  switch (record.kind) {
    case "alert":
      return describeAlert(body);
    case "agent":
      return describeAgent(String(body["event"]), body);
    case "baseline":
    case "dropped":
      return describeAgent(record.kind, body);
    case "approval":
    case "genesis":
    case "rekey":
      return undefined;
  }
}

function describeAlert(event: Fields): Described {
  const { change } = fieldsOf(fieldsOf(event["unmapped"])["fim"]);
  const severity = severities[Number(event["severity_id"]) - 1] ?? "always";
  return {
    type: webhookType(String(change) as ChangeKind),
    uid: idOf(fieldsOf(event["metadata"])["uid"]),
    severity,
  };
}

function describeAgent(event: string, body: Fields): Described | undefined {
  if (!agentEvents.has(event)) return undefined;
  return { type: `fim.agent.${event}`, uid: idOf(body["uid"]), severity: "always" };
}

/** The signature forbids "." in an id; ours are UUIDs. */
function idOf(value: unknown): string | undefined {
  return typeof value === "string" && /^[\w-]{1,128}$/.test(value) ? value : undefined;
}

/** The text of a record's body as first written: `link` puts the body last, and JSON escapes quotes in strings. */
function bodyText(bytes: Buffer): string {
  const mark = ',"body":';
  return bytes.toString("utf8", bytes.indexOf(mark) + mark.length, bytes.length - 1);
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

function rank(severity: Severity): number {
  return severities.indexOf(severity);
}
