import type { Logger } from "pino";
import type { Ledger } from "./ledger.ts";

/** Without a state to write to and a baseline to trust there is no agent. */
const disabling: ReadonlySet<string> = new Set(["state", "state directory", "baseline"]);

/** What is wrong with the agent right now, and whether it is ready; told loudly when it changes. */
export class Wellbeing {
  readonly #ledger: Ledger;
  readonly #log: Logger;
  readonly #troubles = new Map<string, string>();
  #unready: string | undefined = "the engine has not proved itself yet";

  constructor(ledger: Ledger, log: Logger) {
    this.#ledger = ledger;
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

  /** Something that makes the agent know less than it should. Told once, until it is over. */
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
    if (!this.#troubles.has(what)) this.#log.info({ trouble: what }, "recovered");
  }

  /** Said once, for what is no lasting state: events that were lost, and then looked for. */
  incident(what: string, why: string): void {
    this.#log.error({ trouble: what, reason: why }, "degraded");
    this.#announce("degraded", { trouble: what, reason: why });
  }

  /** Where even that cannot be stored, the trouble with the store is what /healthz tells. */
  #announce(event: "degraded" | "recovered", detail: Readonly<Record<string, unknown>>): void {
    try {
      this.#ledger.announce(event, detail, event === "degraded" ? "high" : "info");
    } catch (error) {
      this.#troubles.set("state", error instanceof Error ? error.message : String(error));
    }
  }
}
