import type { Facts } from "../core/record/outlier.ts";
import { lastHeartbeat, silentAfter } from "./node-state.ts";
import type { NodeName, Store, StoredNode } from "./store/store.ts";

/** What the watchdog keeps of a node. */
export interface Member extends NodeName {
  readonly id: number;
  /** Milliseconds since 1970 of the collector's clock. */
  readonly heard: number;
  /** Milliseconds without a sign of it after which it is silent. */
  readonly silentAfter: number;
  /** Milliseconds between its heartbeats. */
  readonly every: number;
  readonly facts: Facts;
}

/** All enrolled nodes, in memory: of the store it reads only those that were heard since. */
export class Fleet {
  readonly #store: Store;
  #members: ReadonlyMap<number, Member> = new Map();

  constructor(store: Store) {
    this.#store = store;
  }

  /** The nodes as they are now. Those that were not heard again are the same objects as before. */
  async members(): Promise<readonly Member[]> {
    const pulses = await this.#store.pulses();
    const news = pulses.filter(({ id, heard }) => this.#members.get(id)?.heard !== heard);
    const ids = news.map(({ id }) => id);
    const read = ids.length > 0 ? await this.#store.nodes(ids) : [];
    const fresh = new Map(read.map((node) => [node.id, memberOf(node)]));
    const all = pulses.flatMap(({ id }) => fresh.get(id) ?? this.#members.get(id) ?? []);
    this.#members = new Map(all.map((member) => [member.id, member]));
    return all;
  }
}

function memberOf(node: StoredNode): Member {
  const { id, cluster, node: name, heard } = node;
  const heartbeat = lastHeartbeat(node);
  return {
    id,
    cluster,
    node: name,
    heard,
    silentAfter: silentAfter(node),
    every: heartbeat?.every ?? 0,
    facts: heartbeat ? { ...heartbeat.shared, policy: heartbeat.policy.digest } : {},
  };
}
