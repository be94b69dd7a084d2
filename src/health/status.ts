import { messageOf } from "../core/error.ts";
import type { Logger } from "pino";
import type { Committer } from "../reconcile/commit.ts";

/** Without a state to write to and a baseline to trust there is no agent. */
const disabling: ReadonlySet<string> = new Set([
  "state",
  "state directory",
  "house-keeping",
  "own records",
  "own alerts",
  "chain",
  "baseline",
]);

/** What the agent says of itself and could not store yet. */
interface PendingNotice {
  readonly event: "degraded" | "recovered";
  readonly detail: Readonly<Record<string, unknown>>;
}

/** As many are kept to be stored later; then the oldest goes. */
const mostUntold = 100;

/** What is wrong with the agent right now, and whether it is ready; told loudly when it changes. */
export class HealthStatus {
  readonly #committer: Committer;
  readonly #log: Logger;
  readonly #troubles = new Map<string, string>();
  readonly #pending: PendingNotice[] = [];
  #unready: string | undefined = "the engine has not proved itself yet";

  constructor(committer: Committer, log: Logger) {
    this.#committer = committer;
    this.#log = log;
  }

  /** What keeps the agent from doing its work at all; an engine that was replaced does not. */
  sick(): readonly string[] {
    return [...this.#troubles].filter(([what]) => disabling.has(what)).map(([, why]) => why);
  }

  /** Everything that makes it know less than it should. */
  degraded(): readonly string[] {
    return [...this.#troubles].map(([what, why]) => `${what}: ${why}`);
  }

  unready(): readonly string[] {
    return this.#unready === undefined ? [] : [this.#unready];
  }

  sweeping(): void {
    this.#unready = "the first sweep is not done";
  }

  ready(): void {
    this.#unready = undefined;
  }

  /** Something that makes the agent know less than it should. Told once, until whoever raised it says that it is over. */
  trouble(what: string, why: string): void {
    if (this.#troubles.get(what) === why) return;
    this.#troubles.set(what, why);
    this.#log.error({ trouble: what, reason: why }, "degraded");
    this.#announce("degraded", { trouble: what, reason: why });
  }

  over(what: string): void {
    const reason = this.#troubles.get(what);
    if (reason === undefined) return;
    this.#troubles.delete(what);
    this.#announce("recovered", { trouble: what, reason });
    this.#log.info({ trouble: what }, "recovered");
  }

  /** Said once, for what is no lasting state: events that were lost, and then looked for. */
  incident(what: string, why: string): void {
    this.#log.error({ trouble: what, reason: why }, "degraded");
    this.#announce("degraded", { trouble: what, reason: why });
  }

  /** What could not be stored when it was said is stored as soon as it can be; until then /healthz tells of it. */
  retell(): void {
    try {
      for (let next = this.#pending[0]; next; next = this.#pending[0]) {
        this.#store(next);
        this.#pending.shift();
      }
      this.#troubles.delete("own records");
    } catch (error) {
      this.#troubles.set("own records", messageOf(error));
    }
  }

  #announce(event: PendingNotice["event"], detail: PendingNotice["detail"]): void {
    this.#pending.push({ event, detail });
    if (this.#pending.length > mostUntold) this.#pending.shift();
    this.retell();
  }

  #store({ event, detail }: PendingNotice): void {
    this.#committer.announce(event, detail, event === "degraded" ? "high" : "info");
  }
}
