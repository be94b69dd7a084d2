import { classify } from "../core/backoff.ts";
import type { Outcome, StatusAnswer } from "../core/backoff.ts";
import type { Notice } from "../core/record/notice.ts";
import type { Message } from "./http.ts";
import type { Secret } from "./secret.ts";

export interface FormatContext {
  /** Milliseconds since 1970: this attempt. */
  readonly now: number;
  readonly secret: Secret;
  /** The address of a record's page, where one is configured. */
  readonly link: (notice: Notice) => string | undefined;
}

/** How a service wants its records, and what its answers mean. Pure. */
export interface Format {
  /** Records that one request may carry. */
  readonly maxPerPost: number;
  /** People read it: events of the agent are held to the least severity too. */
  readonly isForPeople: boolean;
  /** The answer's text decides too. */
  readonly readsBody?: true;
  /** The address that is posted to, from the configured one. */
  readonly endpoint?: (url: string) => string;
  readonly message: (notices: readonly Notice[], context: FormatContext) => Message;
  /** Absent: the status alone decides. */
  readonly outcome?: (answer: StatusAnswer, sent: Sent) => Outcome;
}

interface Sent {
  /** The records of the request. */
  readonly count: number;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** For services that answer 400 or 413 to a message that they will never take. */
export function refusing(answer: StatusAnswer, { now }: Sent): Outcome {
  const { status } = answer;
  return status === 400 || status === 413
    ? { kind: "refused", why: `status ${status}` }
    : classify(answer, now);
}

export const json = { "content-type": "application/json", "user-agent": "fim-agent" } as const;

/** For services behind a proxy that asks for a token. */
export function bearer({ token }: Secret): Readonly<Record<string, string>> {
  return token === "" ? {} : { authorization: `Bearer ${token}` };
}

/** The address with this path at its end, unless it ends so already. */
export function withPath(url: string, path: string): string {
  const whole = new URL(url);
  const bare = whole.pathname.replace(/\/+$/, "");
  whole.pathname = bare.endsWith(path) ? bare : bare + path;
  return whole.href;
}
