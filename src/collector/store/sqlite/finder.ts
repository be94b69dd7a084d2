import { Tinypool } from "tinypool";
import { IntegrityError } from "../../../core/error.ts";
import type { AlertCounts } from "../counts.ts";
import type { AlertQuery, HourCount } from "../store.ts";
import type { OpenAlerts } from "./count.ts";
import type { Answer, Question } from "./read-worker.ts";

const entry = new URL(
  import.meta.url.endsWith(".ts") ? "./read-worker.ts" : "./read-worker.js",
  import.meta.url,
);

/** Questions that wait. More are refused: nothing that a person asks is this long. */
const mostWaiting = 200;

/** Finds and counts alerts on another thread: a question that takes long delays no other work. */
export class Finder implements AsyncDisposable {
  readonly #file: string;
  readonly #limit: number;
  #pool: Tinypool | undefined;

  /** `limit`: milliseconds that one question may take. */
  constructor(file: string, limit: number) {
    this.#file = file;
    this.#limit = limit;
  }

  /** Records of the alerts that fit, in the order of the query. Throws SEARCH_SLOW. */
  async records(query: AlertQuery): Promise<readonly number[]> {
    const answer = await this.#ask({ records: query });
    return "records" in answer ? answer.records : [];
  }

  /** How often each value occurs among these alerts. Throws SEARCH_SLOW. */
  async counts(query: AlertQuery): Promise<AlertCounts> {
    const answer = await this.#ask({ counted: query });
    if ("counts" in answer) return answer.counts;
    throw new Error("expected counts of alerts");
  }

  async hours(since: number): Promise<readonly HourCount[]> {
    const answer = await this.#ask({ hoursSince: since });
    return "hours" in answer ? answer.hours : [];
  }

  async open(): Promise<OpenAlerts> {
    const answer = await this.#ask({});
    if ("open" in answer) return answer.open;
    throw new Error("expected counts of open alerts");
  }

  async #ask(asked: Omit<Question, "file" | "limit">): Promise<Answer> {
    this.#pool ??= new Tinypool({
      filename: entry.href,
      minThreads: 1,
      maxThreads: 1,
      maxQueue: mostWaiting,
    });
    const question: Question = { ...asked, file: this.#file, limit: this.#limit };
    const answer = (await this.#pool.run(question)) as Answer;
    if (!("tooSlow" in answer)) return answer;
    throw new IntegrityError("SEARCH_SLOW", "the search takes too long", {
      hint: "name a node, a rule or a shorter time",
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool?.destroy();
  }
}
