import { messageOf } from "../core/error.ts";
import type { Logger } from "pino";
import type { Severity } from "../core/policy/rule.ts";

/** Troubles with which the agent cannot do its work: state and baseline. */
const disabling: ReadonlySet<string> = new Set([
  "state",
  "state directory",
  "house-keeping",
  "own records",
  "own alerts",
  "chain",
  "schema",
  "baseline",
]);

/** Stores an event of the agent in the chain. Throws when it cannot. */
type Announce = (
  event: "degraded" | "recovered",
  detail: Readonly<Record<string, unknown>>,
  severity: Severity,
) => void;

/** An event of the agent that could not be stored yet. */
interface PendingNotice {
  readonly event: "degraded" | "recovered";
  readonly detail: Readonly<Record<string, unknown>>;
}

/** Pending events kept; beyond that the oldest goes. */
const mostPending = 100;

/** The agent's present troubles and readiness. Reports each change. */
export class HealthStatus {
  readonly #store: Announce;
  readonly #log: Logger;
  readonly #troubles = new Map<string, string>();
  readonly #pending: PendingNotice[] = [];
  #unready: string | undefined = "the engine has not proved itself yet";

  constructor(store: Announce, log: Logger) {
    this.#store = store;
    this.#log = log;
  }

  /** Troubles that keep the agent from its work; a replaced engine does not. */
  sick(): readonly string[] {
    return [...this.#troubles].filter(([what]) => disabling.has(what)).map(([, why]) => why);
  }

  /** All troubles. */
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

  /** A lasting trouble. Reported once, until `over`. */
  trouble(what: string, why: string): void {
    if (this.#troubles.get(what) === why) return;
    this.#troubles.set(what, why);
    this.#log.error({ trouble: what, reason: why }, "degraded");
    this.#announce("degraded", { trouble: what, reason: why });
  }

  /** A lasting trouble that an event of its own has reported. */
  mark(what: string, why: string): void {
    this.#troubles.set(what, why);
  }

  over(what: string): void {
    const reason = this.#troubles.get(what);
    if (reason === undefined) return;
    this.#troubles.delete(what);
    this.#announce("recovered", { trouble: what, reason });
    this.#log.info({ trouble: what }, "recovered");
  }

  /** A trouble that is no lasting state, reported once: events that were lost. */
  incident(what: string, why: string): void {
    this.#log.error({ trouble: what, reason: why }, "degraded");
    this.#announce("degraded", { trouble: what, reason: why });
  }

  /** Stores pending events as soon as possible; until then /healthz shows them. */
  retell(): void {
    try {
      for (let next = this.#pending[0]; next; next = this.#pending[0]) {
        this.#store(next.event, next.detail, next.event === "degraded" ? "high" : "info");
        this.#pending.shift();
      }
      this.#troubles.delete("own records");
    } catch (error) {
      this.#troubles.set("own records", messageOf(error));
    }
  }

  #announce(event: PendingNotice["event"], detail: PendingNotice["detail"]): void {
    this.#pending.push({ event, detail });
    if (this.#pending.length > mostPending) this.#pending.shift();
    this.retell();
  }
}
