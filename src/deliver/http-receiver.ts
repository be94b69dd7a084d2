import { classify } from "../core/backoff.ts";
import type { Answer, Outcome } from "../core/backoff.ts";
import type { Leased } from "../core/record/queued.ts";
import type { Receiver } from "./deliver.ts";
import type { Format } from "./format.ts";
import { needsOf } from "./formats/names.ts";
import { Poster } from "./http.ts";
import { Notices } from "./notices.ts";
import { SecretFile, noSecret } from "./secret.ts";
import { isForgeable } from "./sink.ts";
import type { SinkSettings } from "./sink.ts";

export interface ReceiverContext {
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly warn: (problem: string) => void;
  /** Milliseconds for one attempt. */
  readonly timeout?: number;
}

/** Posts records to one address in one format. */
export class HttpReceiver implements Receiver, Disposable {
  readonly maxPerPost: number;
  readonly #settings: SinkSettings;
  readonly #format: Format;
  readonly #clock: () => number;
  readonly #secret: SecretFile | undefined;
  readonly #poster: Poster;
  readonly #notices: Notices;

  constructor(settings: SinkSettings, format: Format, context: ReceiverContext) {
    this.maxPerPost = format.maxPerPost;
    this.#settings = settings;
    this.#format = format;
    this.#clock = context.clock;
    this.#notices = new Notices(settings, format.isForPeople);
    const kind = needsOf(settings.format).secret === "keys" ? "keys" : "token";
    this.#secret =
      settings.secret === undefined
        ? undefined
        : new SecretFile(settings.secret, kind, context.warn);
    this.#poster = new Poster({
      url: format.endpoint?.(settings.url) ?? settings.url,
      ...(settings.ca === undefined ? {} : { ca: settings.ca }),
      ...(settings.proxy === undefined ? {} : { proxy: settings.proxy }),
      ...(context.timeout === undefined ? {} : { timeout: context.timeout }),
      readsBody: format.readsBody === true,
    });
  }

  wants(record: Leased): boolean {
    return this.#notices.wants(record);
  }

  async post(records: readonly Leased[], signal: AbortSignal): Promise<Answer | undefined> {
    const message = this.#format.message(this.#notices.of(records), {
      now: this.#clock(),
      secret: this.#secret?.secret ?? noSecret,
      link: (notice) => this.#notices.link(notice),
    });
    const answer = await this.#poster.post(message, signal);
    return answer?.kind === "status" && isForgeable(this.#settings.url)
      ? { ...answer, isForgeable: true }
      : answer;
  }

  judge(answer: Answer, count: number): Outcome {
    const now = this.#clock();
    if (answer.kind !== "status" || answer.status === 410) return classify(answer, now);
    return this.#format.outcome?.(answer, { count, now }) ?? classify(answer, now);
  }

  keysId(): string {
    return this.#secret?.id ?? "";
  }

  [Symbol.dispose](): void {
    this.#poster[Symbol.dispose]();
  }
}
