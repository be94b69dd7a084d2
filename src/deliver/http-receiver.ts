import { classify } from "../core/backoff.ts";
import type { Answer, Outcome } from "../core/backoff.ts";
import { readNotice } from "../core/record/notice.ts";
import type { Notice } from "../core/record/notice.ts";
import type { Leased } from "../core/record/queued.ts";
import type { Receiver } from "./deliver.ts";
import { isWanted } from "./filter.ts";
import type { Format } from "./format.ts";
import { needsOf } from "./formats/names.ts";
import { Poster } from "./http.ts";
import { linkTo } from "./link.ts";
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
  readonly #notices = new WeakMap<Leased, { readonly notice: Notice | undefined }>();

  constructor(settings: SinkSettings, format: Format, context: ReceiverContext) {
    this.maxPerPost = format.maxPerPost;
    this.#settings = settings;
    this.#format = format;
    this.#clock = context.clock;
    const kind = needsOf(settings.format).secret === "keys" ? "keys" : "token";
    this.#secret =
      settings.secret === undefined
        ? undefined
        : new SecretFile(settings.secret, kind, context.warn);
    this.#poster = new Poster({
      url: format.endpoint?.(settings.url) ?? settings.url,
      ...(settings.ca === undefined ? {} : { ca: settings.ca }),
      ...(context.timeout === undefined ? {} : { timeout: context.timeout }),
      readsBody: format.readsBody === true,
    });
  }

  wants(record: Leased): boolean {
    const notice = this.#noticeOf(record);
    return notice !== undefined && isWanted(notice, this.#settings, this.#format.isForPeople);
  }

  async post(records: readonly Leased[], signal: AbortSignal): Promise<Answer | undefined> {
    const notices = records.flatMap((record) => this.#noticeOf(record) ?? []);
    const message = this.#format.message(notices, {
      now: this.#clock(),
      secret: this.#secret?.secret ?? noSecret,
      link: (notice) => linkTo(notice, this.#settings.link),
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

  #noticeOf(record: Leased): Notice | undefined {
    const known = this.#notices.get(record) ?? { notice: readNotice(record.bytes) };
    this.#notices.set(record, known);
    return known.notice;
  }
}
