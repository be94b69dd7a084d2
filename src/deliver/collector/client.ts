import type { KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";
import { classify } from "../../core/backoff.ts";
import type { Failure } from "../../core/backoff.ts";
import { sealEnrolment } from "../../core/record/enrolment.ts";
import { parseJoinToken } from "../../core/record/join-token.ts";
import { textAt } from "../../core/record/fields.ts";
import { Poster } from "../http.ts";
import { readJoinToken } from "./join-token.ts";
import type { Memory, Witness } from "./witness.ts";
import { bodyOf, failureOf, readSent } from "./answer.ts";
import type { Sent } from "./answer.ts";

export interface CollectorSettings {
  readonly url: string;
  /** File with the only trusted certificate authorities (PEM). */
  readonly ca?: string;
  /** Address of an HTTP proxy. */
  readonly proxy?: string;
  /** File with a join token or a service account's token, or a directory with one file a node, by its name. */
  readonly joinToken?: string;
}

/** The node that reports, and its keys of the moment. */
export interface Identity {
  readonly node: string;
  readonly cluster: string;
  readonly key: {
    readonly privateKey: KeyObject;
    readonly publicKey: KeyObject;
    readonly past: readonly KeyObject[];
  };
}

type Posters = Readonly<Record<"nonce" | "enroll" | "batches", Poster>>;

interface ClientMemory {
  readonly witness: Witness;
  readonly pin: Memory;
}

const compress = promisify<Buffer, { level: number }, Buffer>(gzip);

/** The collector's HTTP interface, as the agent uses it. */
export class CollectorClient implements Disposable {
  readonly #settings: CollectorSettings;
  readonly #clock: () => number;
  readonly #witness: Witness;
  readonly #pin: Memory;
  #posters: Posters;

  /** `pin` keeps the certificate of the join token. The clock gives milliseconds since 1970. */
  constructor(settings: CollectorSettings, memory: ClientMemory, clock: () => number) {
    this.#settings = settings;
    this.#witness = memory.witness;
    this.#pin = memory.pin;
    this.#clock = clock;
    this.#posters = this.#connect();
  }

  /** A nonce for what is signed next. Undefined only when the signal aborted. */
  async nonce(node: string, signal: AbortSignal): Promise<string | Failure | undefined> {
    const missing = this.#learnPin(node);
    if (missing) return missing;
    const answer = await this.#posters.nonce.post({ headers: {}, body: Buffer.alloc(0) }, signal);
    if (!answer) return undefined;
    const nonce = textAt(bodyOf(answer), "nonce");
    const failure = failureOf(classify(answer, this.#clock()), undefined);
    return nonce ?? failure ?? { kind: "rejected", why: "it is no collector: it gave no nonce" };
  }

  /** Makes this node's key known. Undefined: it is, or the signal aborted. */
  async enrol(
    identity: Identity,
    nonce: string,
    signal: AbortSignal,
  ): Promise<Failure | undefined> {
    const { node, cluster, key } = identity;
    const text = readJoinToken(this.#settings.joinToken, node);
    if (typeof text !== "string") return text;
    const { secret: token } = parseJoinToken(text);
    const at = new Date(this.#clock()).toISOString();
    const enrolment = sealEnrolment({ node, cluster, nonce, at }, token, key);
    const body = Buffer.from(JSON.stringify({ enrolment, token }));
    const headers = { "content-type": "application/json" };
    const answer = await this.#posters.enroll.post({ headers, body }, signal);
    if (!answer) return undefined;
    const reply = bodyOf(answer);
    const vkey = textAt(reply, "checkpointKey");
    if (vkey !== undefined) this.#witness.trust(vkey);
    return failureOf(classify(answer, this.#clock()), textAt(reply, "reason"));
  }

  /** Signed lines as a part of a request's body: a member of a gzip file (RFC 1952 §2.2). */
  async pack(lines: readonly Buffer[]): Promise<Buffer> {
    return await compress(Buffer.concat(lines), { level: constants.Z_BEST_SPEED });
  }

  /** Sends packed lines. Undefined only when the signal aborted. */
  async send(
    packed: readonly Buffer[],
    lostFrom: number | undefined,
    signal: AbortSignal,
  ): Promise<Sent | undefined> {
    const size = this.#witness.size();
    const body = Buffer.concat(packed);
    const headers = {
      "content-type": "application/x-ndjson",
      "content-encoding": "gzip",
      ...(size !== undefined && { "fim-checkpoint-size": String(size) }),
      ...(lostFrom !== undefined && { "fim-lost-from": String(lostFrom) }),
    };
    const answer = await this.#posters.batches.post({ headers, body }, signal);
    return answer && readSent(answer, this.#clock());
  }

  [Symbol.dispose](): void {
    for (const poster of Object.values(this.#posters)) poster[Symbol.dispose]();
  }

  #connect(): Posters {
    const { url, ca, proxy } = this.#settings;
    const pinned = ca === undefined ? this.#pin.get() : undefined;
    const posterOf = (path: string): Poster =>
      new Poster({
        url: `${url.replace(/\/+$/, "")}/v1/${path}`,
        ...(ca !== undefined && { ca }),
        ...(proxy !== undefined && { proxy }),
        ...(pinned !== undefined && pinned !== "" && { pinned }),
        readsBody: true,
      });
    return {
      nonce: posterOf("nonce"),
      enroll: posterOf("enroll"),
      batches: posterOf("batches"),
    };
  }

  /**
   * The join token may hold the collector's own certificate: a new token brings a new one. After that it may be gone.
   * Returns why a node that never joined cannot.
   */
  #learnPin(node: string): Failure | undefined {
    const { url, ca, joinToken } = this.#settings;
    if (ca !== undefined || !url.startsWith("https:")) return undefined;
    const token = readJoinToken(joinToken, node);
    if (typeof token !== "string")
      return this.#witness.knowsKey() ? undefined : { ...token, why: `not enrolled: ${token.why}` };
    const { certificate } = parseJoinToken(token);
    if (certificate === undefined || certificate === this.#pin.get()) return undefined;
    this.#pin.set(certificate);
    this[Symbol.dispose]();
    this.#posters = this.#connect();
    return undefined;
  }
}
