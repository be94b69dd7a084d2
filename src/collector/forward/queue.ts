import type { Leased, LeaseLimits } from "../../core/record/queued.ts";
import type { Queue } from "../../deliver/deliver.ts";
import type { Store } from "../store/store.ts";
import { claim, held, parsePlace } from "./place.ts";
import type { Place } from "./place.ts";

interface QueueOptions {
  readonly store: Store;
  /** Names this process among those that share the store. */
  readonly holder: string;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

/**
 * Each sink's place among the stored alerts, in the order of their arrival. Of several collectors on one store one
 * serves a sink; another takes over when that one is silent. A record may be sent twice then, never lost.
 */
export class StoredQueue implements Queue {
  readonly #options: QueueOptions;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  /** Makes the sink known. A new one begins after the newest alert. */
  async register(sink: string): Promise<void> {
    const { store } = this.#options;
    const [newest] = await store.alerts({ limit: 1 });
    await store.transact(async (tx) => {
      if ((await tx.readMeta(keyOf(sink))) !== undefined) return;
      const place: Place = { seq: newest?.id ?? 0, attempts: 0, nextAt: 0, disabled: false };
      await tx.writeMeta(keyOf(sink), JSON.stringify(place));
    });
  }

  async lease(sink: string, limits: LeaseLimits): Promise<readonly Leased[]> {
    const place = await this.#hold(sink, limits.now);
    if (!place || place.disabled || place.nextAt > limits.now) return [];
    const { store } = this.#options;
    const alerts = await store.alerts({ after: place.seq, limit: limits.maxRecords });
    let bytes = 0;
    const fitting = alerts.findIndex((alert, at) => {
      bytes += alert.bytes.length;
      return at > 0 && bytes > limits.maxBytes;
    });
    return alerts
      .slice(0, fitting < 0 ? alerts.length : fitting)
      .map((alert) => ({ seq: alert.id, bytes: alert.bytes }));
  }

  async settle(sink: string, seq: number): Promise<void> {
    await this.#change(sink, (place) => ({
      ...place,
      seq: Math.max(place.seq, seq),
      attempts: 0,
      nextAt: 0,
    }));
  }

  async defer(sink: string, attempts: number, nextAt: number): Promise<void> {
    await this.#change(sink, (place) => ({ ...place, attempts, nextAt }));
  }

  async disable(sink: string, reason: string, keys = ""): Promise<void> {
    await this.#change(sink, (place) => ({ ...place, disabled: true, reason, keys }));
  }

  async enable(sink: string): Promise<void> {
    await this.#change(sink, ({ seq, holder = "", until = 0 }) => ({
      seq,
      attempts: 0,
      nextAt: 0,
      disabled: false,
      holder,
      until,
    }));
  }

  async state(sink: string): Promise<Place | undefined> {
    return await this.#options.store.transact(async (tx) => {
      const text = await tx.readMeta(keyOf(sink));
      return text === undefined ? undefined : parsePlace(text);
    });
  }

  /** Lets another collector serve the sink at once. */
  async release(sink: string): Promise<void> {
    await this.#change(sink, (place) => ({ ...place, until: 0 }));
  }

  /** The place, if this collector serves the sink now. */
  async #hold(sink: string, now: number): Promise<Place | undefined> {
    const { store, holder } = this.#options;
    return await store.transact(async (tx) => {
      const text = await tx.readMeta(keyOf(sink));
      if (text === undefined) return undefined;
      const place = parsePlace(text);
      if (place.holder === holder && (place.until ?? 0) > now + held / 2) return place;
      const own = claim(place, holder, now);
      if (own) await tx.writeMeta(keyOf(sink), JSON.stringify(own));
      return own;
    });
  }

  /** Changes nothing while another collector serves the sink. */
  async #change(sink: string, change: (place: Place) => Place): Promise<void> {
    const { store, holder, clock } = this.#options;
    await store.transact(async (tx) => {
      const text = await tx.readMeta(keyOf(sink));
      const own = text === undefined ? undefined : claim(parsePlace(text), holder, clock());
      if (own) await tx.writeMeta(keyOf(sink), JSON.stringify(change(own)));
    });
  }
}

function keyOf(sink: string): string {
  return `sink ${sink}`;
}
