import { isBusy, isFull, messageOf } from "../core/error.ts";
import type { Logger } from "pino";
import type { Severity } from "../core/policy/rule.ts";
import { Notices } from "./notices.ts";

/** Troubles with which the agent cannot do its work: state and baseline. */
const disabling: ReadonlySet<string> = new Set([
  "state",
  "state directory",
  "house-keeping",
  "own records",
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

const start = "start";
const lock = "commits wait";
/** Milliseconds for which another process may hold the database's lock before that is a trouble. */
const lockPatience = 5000;

/** The agent's present troubles and readiness. Reports each change. */
export class HealthStatus implements Disposable {
  readonly #store: Announce;
  readonly #log: Logger;
  readonly #troubles = new Map<string, string>();
  /** Troubles that a full disk causes: a restart would not end them, and would lose who made the changes that wait. */
  readonly #full = new Set<string>();
  readonly #notices: Notices;
  readonly #blocked = new Map([[start, "the engine has not proved itself yet"]]);
  /** Milliseconds of performance.now(). */
  #lockedSince: number | undefined;

  constructor(store: Announce, log: Logger) {
    this.#store = store;
    this.#log = log;
    this.#notices = new Notices({
      onFailed: (error) => this.#failed(error),
      onStored: () => this.#stored(),
      giveUp: (count) => {
        const reason = `${count} of the agent's own alerts and events were given up`;
        this.#store("degraded", { trouble: "own records", reason }, "high");
      },
    });
  }

  /** Stores an alert or event of the agent itself, now or as soon as the database takes it. */
  record(write: () => void): void {
    this.#notices.store(write);
  }

  /** Another process holds the database's lock: no loss, and a restart would not end it. */
  locked(why: string): void {
    this.#lockedSince ??= performance.now();
    if (performance.now() - this.#lockedSince >= lockPatience) this.trouble(lock, why);
  }

  /** A commit succeeded. */
  unlocked(): void {
    this.#lockedSince = undefined;
    this.over(lock);
  }

  /** Troubles that a restart may end; neither a replaced engine nor a full disk is one. */
  sick(): readonly string[] {
    const isOne = (what: string): boolean => disabling.has(what) && !this.#full.has(what);
    return [...this.#troubles].filter(([what]) => isOne(what)).map(([, why]) => why);
  }

  /** All troubles. */
  degraded(): readonly string[] {
    return [...this.#troubles].map(([what, why]) => `${what}: ${why}`);
  }

  unready(): readonly string[] {
    return [...this.#blocked.values()];
  }

  sweeping(): void {
    this.block(start, "the first sweep is not done");
  }

  ready(): void {
    this.unblock(start);
  }

  /** A change could be missed, until `unblock`. */
  block(what: string, why: string): void {
    this.#blocked.set(what, why);
  }

  unblock(what: string): void {
    this.#blocked.delete(what);
  }

  /** A lasting trouble, and the error behind it where there is one. Reported once, until `over`. */
  trouble(what: string, why: string, cause?: unknown): void {
    this.#classify(what, cause);
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

  /** A trouble whose end another process has recorded. */
  clear(what: string): void {
    if (this.#troubles.delete(what)) this.#log.info({ trouble: what }, "recovered");
  }

  /** A trouble that is no lasting state, reported once: events that were lost. */
  incident(what: string, why: string): void {
    this.#log.error({ trouble: what, reason: why }, "degraded");
    this.#announce("degraded", { trouble: what, reason: why });
  }

  /** Stores now what waits. */
  retell(): void {
    this.#notices.retry();
  }

  [Symbol.dispose](): void {
    this.#notices[Symbol.dispose]();
  }

  #failed(error: unknown): void {
    if (isBusy(error)) this.locked(error.message);
    // Without a report of its own, which could not be stored either.
    else {
      this.#classify("own records", error);
      this.#troubles.set("own records", messageOf(error));
    }
  }

  #classify(what: string, cause: unknown): void {
    if (isFull(cause)) this.#full.add(what);
    else this.#full.delete(what);
  }

  #stored(): void {
    this.#troubles.delete("own records");
    this.unlocked();
  }

  #announce(event: "degraded" | "recovered", detail: Readonly<Record<string, unknown>>): void {
    const at = new Date().toISOString();
    const severity = event === "degraded" ? "high" : "info";
    this.record(() => this.#store(event, { at, ...detail }, severity));
  }
}
