import type { Head } from "../../core/record/chain.ts";
import type { Severity } from "../../core/policy/rule.ts";
import type { StoredChain } from "../../core/record/verdict.ts";
import type { RightEdge } from "../../core/tlog/tree.ts";
import type { AlertCounts } from "./counts.ts";
import type { StoredDays } from "./days.ts";
import type { Pack } from "./packed.ts";
import type { LogReader } from "./log.ts";

/** "<cluster>/<node>", as every chain of the node begins. */
export interface NodeName {
  readonly cluster: string;
  readonly node: string;
}

/** A key by which a node may sign, or once might. */
export interface NodeKey {
  readonly keyId: string;
  /** Raw Ed25519, 32 bytes. */
  readonly publicKey: Buffer;
}

export interface StoredNode extends NodeName {
  readonly id: number;
  /** The key that signs now; others of `keys` are former ones. */
  readonly keyId: string;
  /** Without those that an enrolment by token has made worthless. */
  readonly keys: readonly NodeKey[];
  /** The chain that it continues. */
  readonly chain?: string;
  /** Milliseconds since 1970 of the collector's clock, as are all times here. */
  readonly enrolled: number;
  readonly heard: number;
  /** JSON of the newest heartbeat. */
  readonly heartbeat?: string;
  /** JSON body of the last record of kind "baseline". */
  readonly baseline?: string;
}

/** A record of a batch to keep, with the columns by which people look for it. */
export interface NewRecord {
  readonly hash: string;
  readonly alert?: AlertColumns;
  /** The node that a record of the collector's own is about. */
  readonly about?: number;
}

/** A record that people look at: an alert, an event of an agent, an alarm of the collector. */
export interface AlertColumns {
  readonly uid: string;
  /** "fim.alert.modified", "fim.agent.degraded", "fim.collector.silent" */
  readonly type: string;
  readonly severity: Severity;
  readonly change?: string;
  readonly path?: string;
  readonly rule?: string;
  readonly incident?: string;
  /** "<namespace>/<pod>" */
  readonly pod?: string;
  /** Path of the program that made the change, if that is certain. */
  readonly program?: string;
  /** When it happened. */
  readonly at: number;
}

export interface NewBatch {
  readonly chain: string;
  /** 0 for the chain itself, else a branch that conflicts with it. */
  readonly branch: number;
  readonly envelope: string;
  readonly first: number;
  readonly head: Head;
  /** The key that signs what follows. */
  readonly nextKeyId: string;
  readonly records: readonly NewRecord[];
  /** Their bytes. */
  readonly packs: readonly Pack[];
}

interface EnrolmentFacts {
  /** The signed request. */
  readonly envelope: string;
  /** Keys that signed before this one. */
  readonly former: readonly NodeKey[];
  readonly now: number;
}

/** One transaction of the store, under a lock that orders what is stored of a node. */
export interface Transaction {
  node(name: NodeName): Promise<StoredNode | undefined>;
  /** Makes the node known, or gives it this key; other keys than this and its former ones are worth nothing then. */
  enrol(name: NodeName, key: NodeKey, facts: EnrolmentFacts): Promise<StoredNode>;
  /** From now on this key signs; the others stay known as former ones. */
  replaceKey(node: number, key: NodeKey, now: number): Promise<void>;
  chain(name: string): Promise<StoredChain | undefined>;
  /** Hash of a record of branch 0. */
  hashOf(chain: string, seq: number): Promise<string | undefined>;
  /** Keeps a batch of this node, or of the collector itself, and appends its records to the log. */
  append(node: number | undefined, batch: NewBatch, now: number): Promise<void>;
  /** Marks the node as heard and notes what is newly known of it. */
  hear(node: number, news: NodeNews, now: number): Promise<void>;
  /** False: it lasts already. */
  beginAlarm(node: number, what: string, now: number): Promise<boolean>;
  /** True: it lasted until now. */
  endAlarm(node: number, what: string): Promise<boolean>;
  /** True: the token is for this node, unused and not expired. From now on it is used. */
  redeem(tokenHash: string, node: string, now: number): Promise<boolean>;
  /** True: this token, which others made, enrolled no key before. From now on it did. */
  useOnce(tokenHash: string, node: string, now: number): Promise<boolean>;
  readMeta(key: string): Promise<string | undefined>;
  writeMeta(key: string, value: string): Promise<void>;
  /** The log's tree, with what this transaction appended. */
  tree(): Promise<RightEdge>;
  addCheckpoint(checkpoint: NewCheckpoint, now: number): Promise<void>;
}

export interface NewCheckpoint {
  readonly origin: string;
  readonly size: number;
  /** Signed note. */
  readonly note: string;
}

export interface NodeNews {
  readonly chain?: string;
  readonly heartbeat?: { readonly envelope: string; readonly payload: string };
  readonly baseline?: string;
}

/** A page of alerts, newest first. */
export interface AlertQuery {
  readonly cluster?: string;
  readonly node?: string;
  readonly severities?: readonly Severity[];
  readonly change?: string;
  readonly type?: string;
  /** Exact, or a glob with "*" and "?". */
  readonly path?: string;
  readonly rule?: string;
  readonly incident?: string;
  readonly pod?: string;
  readonly program?: string;
  readonly acknowledged?: boolean;
  /** Happened at or after, and before. */
  readonly since?: number;
  readonly until?: number;
  /** Only alerts with a lower id. */
  readonly before?: number;
  /** Only alerts with a higher id, oldest first. */
  readonly after?: number;
  readonly limit: number;
}

export interface StoredAlert extends AlertColumns {
  /** Rises in the order of arrival: the leaf of its record in the log, and one. */
  readonly id: number;
  readonly cluster?: string;
  readonly node?: string;
  readonly received: number;
  readonly acknowledged: boolean;
  /** The record, exactly as signed. */
  readonly bytes: Buffer;
}

/** Alerts of one severity that happened within one hour. */
export interface HourCount {
  /** When the hour began: a multiple of 3,600,000 ms. */
  readonly hour: number;
  readonly severity: Severity;
  readonly count: number;
}

/** What proves that a node wrote a record: the batch that its key signed. */
export interface StoredProof {
  readonly chain: string;
  readonly branch: number;
  readonly seq: number;
  readonly hash: string;
  /** The DSSE envelope, as JSON text. */
  readonly envelope: string;
  readonly first: number;
  /** All records of the batch, in order, exactly as signed. */
  readonly records: readonly Buffer[];
}

export interface Comment {
  readonly at: number;
  readonly user: string;
  readonly acknowledges: boolean;
  readonly text: string;
}

/** What the collector keeps. Every method is durable when its promise ends. */
export interface Store extends AsyncDisposable {
  /**
   * Runs the work in one transaction, after `ready` if that is given. What it throws undoes the work. The work may run
   * more than once: only the last time has an effect.
   */
  transact<Result>(
    work: (tx: Transaction) => Promise<Result>,
    ready?: Promise<unknown>,
  ): Promise<Result>;
  /** All enrolled nodes, or those with these ids. */
  nodes(ids?: readonly number[]): Promise<readonly StoredNode[]>;
  /** When each node was heard last. */
  pulses(): Promise<readonly { readonly id: number; readonly heard: number }[]>;
  /** The keys by which a node may sign. Empty: it is not enrolled. */
  keysOf(node: NodeName): Promise<readonly NodeKey[]>;
  /** The same, with those that an enrolment by token has made worthless: they signed older records. */
  everyKeyOf(node: NodeName): Promise<readonly NodeKey[]>;
  alerts(query: AlertQuery): Promise<readonly StoredAlert[]>;
  alert(uid: string): Promise<StoredAlert | undefined>;
  comments(alertId: number): Promise<readonly Comment[]>;
  addComment(alertId: number, comment: Comment): Promise<void>;
  /** The lasting alarms of each node. */
  alarms(): Promise<
    readonly { readonly node: number; readonly what: string; readonly since: number }[]
  >;
  /** How many alerts of each severity no one has acknowledged. */
  openAlerts(): Promise<Readonly<Record<Severity, number>>>;
  /** How often each value occurs among the newest alerts that fit, as many as the limit. Throws SEARCH_SLOW. */
  counts(query: AlertQuery): Promise<AlertCounts>;
  /** How many alerts happened in each hour, from the one on that holds this time. Hours without alerts are absent. */
  alertsByHour(since: number): Promise<readonly HourCount[]>;
  /** The signed batch that holds the record of an alert. */
  proof(alertId: number): Promise<StoredProof | undefined>;
  addToken(hash: string, token: { readonly node: string; readonly expires: number }): Promise<void>;
  readonly log: LogReader;
  readonly days: StoredDays;
  users: Users;
}

export interface Users {
  add(name: string, password: string | undefined, now: number): Promise<boolean>;
  password(name: string): Promise<string | undefined>;
  /** In the order of their characters. */
  names(): Promise<readonly string[]>;
  /** Also forgets the sessions that have expired. */
  addSession(hash: string, session: Session & { readonly created: number }): Promise<void>;
  session(hash: string, now: number): Promise<Session | undefined>;
  endSession(hash: string): Promise<void>;
}

export interface Session {
  readonly user: string;
  readonly kind: "token" | "page";
  /** Absent: it lasts. */
  readonly expires?: number;
}
