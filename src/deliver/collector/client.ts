import type { KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { constants, gzip } from "node:zlib";
import { classify } from "../../core/backoff.ts";
import type { Failure } from "../../core/backoff.ts";
import { sealEnrolment } from "../../core/record/enrolment.ts";
import { textAt } from "../../core/record/fields.ts";
import { Poster } from "../http.ts";
import { readJoinToken } from "./join-token.ts";
import type { Witness } from "./witness.ts";
import { bodyOf, failureOf, readSent } from "./answer.ts";
import type { Sent } from "./answer.ts";

export interface CollectorSettings {
  readonly url: string;
  /** File with the only trusted certificate authorities (PEM). */
  readonly ca?: string;
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

const compress = promisify<Buffer, { level: number }, Buffer>(gzip);

/** The collector's HTTP interface, as the agent uses it. */
export class CollectorClient implements Disposable {
  readonly #settings: CollectorSettings;
  readonly #clock: () => number;
  readonly #witness: Witness;
  readonly #posters: Readonly<Record<"nonce" | "enroll" | "batches", Poster>>;

  /** The clock gives milliseconds since 1970. */
  constructor(settings: CollectorSettings, witness: Witness, clock: () => number) {
    this.#settings = settings;
    this.#witness = witness;
    this.#clock = clock;
    const { url, ca } = settings;
    const posterOf = (path: string): Poster =>
      new Poster({
        url: `${url.replace(/\/+$/, "")}/v1/${path}`,
        ...(ca !== undefined && { ca }),
        readsBody: true,
      });
    this.#posters = {
      nonce: posterOf("nonce"),
      enroll: posterOf("enroll"),
      batches: posterOf("batches"),
    };
  }

  /** A nonce for what is signed next. Undefined only when the signal aborted. */
  async nonce(signal: AbortSignal): Promise<string | Failure | undefined> {
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
    const token = readJoinToken(this.#settings.joinToken, node);
    if (typeof token !== "string") return token;
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

  /** Sends signed lines. Undefined only when the signal aborted. */
  async send(
    lines: readonly Buffer[],
    lostFrom: number | undefined,
    signal: AbortSignal,
  ): Promise<Sent | undefined> {
    const size = this.#witness.size();
    const body = await compress(Buffer.concat(lines), { level: constants.Z_BEST_SPEED });
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
}
