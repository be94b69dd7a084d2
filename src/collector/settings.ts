import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { IntegrityError } from "../core/error.ts";
import { readOperatorFile } from "../policy/operator-file.ts";
import type { Admission } from "./enroll/enroll.ts";
import { podApiServer, reviewOffline, reviewOnline } from "./enroll/review.ts";
import type { ReviewToken } from "./enroll/review.ts";
import type { ServiceAccount } from "./enroll/service-account.ts";
import type { Keep } from "./retention.ts";
import { runbookProblem } from "./runbook.ts";
import { parseSize } from "../core/duration.ts";
import { reasonOf } from "../config/read.ts";
import { choices, parseListen, parseName } from "../config/options.ts";
import type { Listen, LogLevel } from "../config/options.ts";

/** The options of every command of the collector, with every default. */
export interface CollectorSettings {
  readonly state: string;
  /** "sqlite:FILE" or "postgres://…" */
  readonly store?: string;
  readonly listen: Listen;
  readonly logLevel: LogLevel;
  readonly name: string;
  /** Configuration file: receivers of what is stored. */
  readonly config?: string;
  /** PEM */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Plain HTTP also to other hosts: something before it speaks TLS, or the network is trusted. */
  readonly plainHttp: boolean;
  readonly admission: Admission;
  readonly keep: Keep;
  /** Template of the address that says what to do about an alert. */
  readonly runbook?: string;
}

/** An empty database with its indexes and the newest day must have room in it. */
const leastBytes = 64 * 2 ** 20;

type Given = Readonly<Record<string, unknown>>;
type Environment = Readonly<Record<string, string | undefined>>;

const texts = [
  "state",
  "store",
  "listen",
  "logLevel",
  "name",
  "tlsCert",
  "tlsKey",
  "config",
  "runbook",
] as const;
const admissionTexts = [
  "serviceAccount",
  "audience",
  "cluster",
  "jwks",
  "issuer",
  "authorizedAgents",
] as const;

/** Command line before environment (FIM_COLLECTOR_…) before default. */
export function collectorSettings(given: Given, env: Environment): CollectorSettings {
  const textOf = (option: string): string | undefined => {
    const text = given[option] ?? env[environmentName(option)];
    return typeof text === "string" && text !== "" ? text : undefined;
  };
  const [state, store, listen, logLevel, name, cert, key, config, runbook] = texts.map(textOf);
  if ((cert === undefined) !== (key === undefined))
    throw invalid("--tls-cert and --tls-key: expected both or none");
  return {
    state: resolve(state ?? "/var/lib/fim-collector"),
    ...(store !== undefined && { store }),
    listen: read("--listen", parseListen(listen ?? "127.0.0.1:8686")),
    logLevel: read("--log-level", choices.logLevel(logLevel ?? "info")),
    name: read("--name", parseName(name ?? hostname())),
    ...(config !== undefined && { config: resolve(config) }),
    ...(cert !== undefined &&
      key !== undefined && {
        tls: { cert: pem("--tls-cert", cert), key: pem("--tls-key", key) },
      }),
    plainHttp: given["plainHttp"] === true || env["FIM_COLLECTOR_PLAIN_HTTP"] === "true",
    admission: admissionOf(admissionTexts.map(textOf), env),
    keep: keepOf(textOf("keepDays"), textOf("keepBytes")),
    ...(runbook !== undefined && { runbook: checkedRunbook(runbook) }),
  };
}

function checkedRunbook(template: string): string {
  const problem = runbookProblem(template);
  if (problem !== undefined) throw invalid(`--runbook: ${problem}`);
  return template;
}

function keepOf(days: string | undefined, size: string | undefined): Keep {
  const bytes = size === undefined ? undefined : parseSize(size);
  if (days !== undefined && !/^[1-9]\d{0,3}$/.test(days))
    throw invalid(`--keep-days: expected 1 to 9999 days, found ${JSON.stringify(days)}`);
  if (size !== undefined && (bytes === undefined || bytes < leastBytes))
    throw invalid(`--keep-bytes: expected a size from 64MiB, such as 100GiB`);
  return {
    ...(days !== undefined && { days: Number(days) }),
    ...(bytes !== undefined && { bytes }),
  };
}

function admissionOf(given: readonly (string | undefined)[], env: Environment): Admission {
  const [account, audience, cluster = "default", jwks, issuer, authorized] = given;
  if (authorized !== undefined) authorizedText(authorized);
  if (account === undefined && (audience ?? jwks ?? issuer) !== undefined)
    throw invalid("--audience, --jwks and --issuer: expected --service-account beside them");
  return {
    ...(authorized !== undefined && { authorized: () => authorizedText(authorized) }),
    ...(account !== undefined && {
      serviceAccount: {
        cluster,
        review: reviewer(
          { account: parseAccount(account, { audience, cluster }), jwks, issuer },
          env,
        ),
      },
    }),
  };
}

interface Reviewing {
  readonly account: ServiceAccount;
  readonly jwks: string | undefined;
  readonly issuer: string | undefined;
}

function reviewer({ account, jwks, issuer }: Reviewing, env: Environment): ReviewToken {
  if (jwks !== undefined && issuer !== undefined)
    return reviewOffline({ jwksFile: jwks, issuer }, account);
  if (jwks !== undefined || issuer !== undefined)
    throw invalid("--jwks and --issuer: expected both or none");
  const api = podApiServer(env);
  if (api) return reviewOnline(api, account);
  throw invalid("--service-account: outside a cluster it needs --jwks and --issuer");
}

function parseAccount(
  text: string,
  { audience = "fim-collector", cluster }: { audience: string | undefined; cluster: string },
): ServiceAccount {
  const [, namespace, name] = /^([a-z0-9.-]+)\/([a-z0-9.-]+)$/.exec(text) ?? [];
  if (namespace === undefined || name === undefined)
    throw invalid(`--service-account: expected NAMESPACE/NAME, found ${JSON.stringify(text)}`);
  return { namespace, name, audience, cluster: read("--cluster", parseName(cluster)) };
}

function authorizedText(file: string): string {
  const found = readOperatorFile(file);
  if ("text" in found) return found.text;
  throw invalid(`--authorized-agents ${file}: ${found.problem}`);
}

function environmentName(option: string): string {
  return `FIM_COLLECTOR_${option.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

function read<Value>(
  option: string,
  result: { readonly value: Value } | { readonly problem: string },
): Value {
  if ("value" in result) return result.value;
  throw invalid(`${option}: ${result.problem}`);
}

function pem(option: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw invalid(`${option} ${file}: ${reasonOf(cause)}`);
  }
}

function invalid(message: string): IntegrityError {
  return new IntegrityError("CONFIG_INVALID", message, { hint: "see fim-collector --help" });
}
