import { present } from "../../core/present.ts";
import type { StoredChain } from "../../core/record/verdict.ts";
import type {
  NewBatch,
  NodeKey,
  NodeName,
  NodeNews,
  StoredNode,
  Transaction,
} from "../store/store.ts";

/** The node that sends a request, as the request's parts change it in turn: each fact of it is read from the store once. */
export class Sender {
  readonly #tx: Transaction;
  readonly #now: number;
  readonly #chains = new Map<string, StoredChain | undefined>();
  readonly #over = new Set<string>();
  #node: StoredNode;
  #news: NodeNews | undefined;

  private constructor(tx: Transaction, now: number, node: StoredNode) {
    this.#tx = tx;
    this.#now = now;
    this.#node = node;
  }

  /** Undefined: no node has this name. `now`: milliseconds since 1970. */
  static async find(tx: Transaction, name: NodeName, now: number): Promise<Sender | undefined> {
    const node = await tx.node(name);
    return node && new Sender(tx, now, node);
  }

  get node(): StoredNode {
    return this.#node;
  }

  async chain(name: string): Promise<StoredChain | undefined> {
    if (!this.#chains.has(name)) this.#chains.set(name, await this.#tx.chain(name));
    return this.#chains.get(name);
  }

  /** Keeps a batch, and appends its records to the log. */
  async append(batch: NewBatch): Promise<void> {
    const { chain: name, branch, head, nextKeyId } = batch;
    const before = await this.chain(name);
    await this.#tx.append(this.#node.id, batch, this.#now);
    if (branch === 0)
      this.#chains.set(name, { keyId: nextKeyId, head, branches: before?.branches ?? [] });
    else this.#chains.delete(name);
  }

  /** From now on this key signs. */
  async replaceKey(key: NodeKey): Promise<void> {
    await this.#tx.replaceKey(this.#node.id, key, this.#now);
    this.#node = { ...this.#node, keyId: key.keyId, keys: [...this.#node.keys, key] };
  }

  /** Notes that the node was heard, and what is newly known of it. */
  hear(news: NodeNews): void {
    const { chain, baseline, heartbeat } = news;
    this.#news = { ...this.#news, ...news };
    this.#node = {
      ...this.#node,
      ...present({ chain, baseline, heartbeat: heartbeat?.payload }),
    };
  }

  /** True: the alarm lasted until now. */
  async endAlarm(what: string): Promise<boolean> {
    if (this.#over.has(what)) return false;
    this.#over.add(what);
    return await this.#tx.endAlarm(this.#node.id, what);
  }

  /** False: the alarm lasts already. */
  async beginAlarm(what: string): Promise<boolean> {
    this.#over.delete(what);
    return await this.#tx.beginAlarm(this.#node.id, what, this.#now);
  }

  /** Writes what was heard of the node. */
  async finish(): Promise<void> {
    if (this.#news) await this.#tx.hear(this.#node.id, this.#news, this.#now);
  }
}
