import { genesisHead, link } from "../../src/core/record/chain.ts";
import type { RecordKind } from "../../src/core/record/chain.ts";
import type { LeaseLimits, Leased } from "../../src/core/record/queued.ts";
import type { Queue } from "../../src/deliver/deliver.ts";

/** A queue for one sink in memory, which remembers what was done with it. */
export class MemoryQueue implements Queue {
  readonly records: Leased[] = [];
  readonly deferred: { attempts: number; nextAt: number }[] = [];
  settled = 0;
  settles = 0;
  current = { attempts: 0, nextAt: 0, disabled: false };
  reason: string | undefined;
  #changed: (() => void) | undefined;

  add(...bytes: readonly Buffer[]): void {
    for (const each of bytes) this.records.push({ seq: this.records.length + 1, bytes: each });
  }

  lease(_sink: string, limits: LeaseLimits): readonly Leased[] {
    if (this.current.disabled || this.current.nextAt > limits.now) return [];
    return this.records.slice(this.settled, this.settled + limits.maxRecords);
  }

  settle(_sink: string, seq: number): void {
    if (seq <= this.settled) throw new Error(`settled ${seq} after ${this.settled}`);
    this.settled = seq;
    this.settles += 1;
    this.current = { attempts: 0, nextAt: 0, disabled: false };
    this.#changed?.();
  }

  defer(_sink: string, attempts: number, nextAt: number): void {
    this.deferred.push({ attempts, nextAt });
    this.current = { attempts, nextAt, disabled: false };
    this.#changed?.();
  }

  disable(_sink: string, reason: string): void {
    this.current = { ...this.current, disabled: true };
    this.reason = reason;
    this.#changed?.();
  }

  state(): MemoryQueue["current"] {
    return this.current;
  }

  /** Ends when the condition holds, which is looked at after each call that changes something. */
  async until(holds: () => boolean): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new Error("the queue did not get there")), 20_000);
    try {
      while (!holds()) {
        const changed = new Promise<void>((resolve) => (this.#changed = resolve));
        await Promise.race([changed, late.promise]);
      }
    } finally {
      clearTimeout(timer);
    }
  }
}

/** A chain record as the outbox would hold it. */
export function record(kind: RecordKind, body: unknown, at = "2026-01-02T03:04:05.678Z"): Buffer {
  return link(genesisHead(Buffer.alloc(32)), "lab/cp-1/1", { at, kind, body }).bytes;
}

export function alertRecord(uid: string, severityId = 5, change = "modified"): Buffer {
  const fim = { path: "/etc/kubernetes/admin.conf", change, severity: "critical" };
  const body = { metadata: { uid }, severity_id: severityId, unmapped: { fim } };
  return record("alert", body);
}
