import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { IntegrityError } from "../core/error.ts";
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
  /** PEM */
  readonly tls?: { readonly cert: string; readonly key: string };
}

type Given = Readonly<Record<string, unknown>>;
type Environment = Readonly<Record<string, string | undefined>>;

const texts = ["state", "store", "listen", "logLevel", "name", "tlsCert", "tlsKey"] as const;

/** Command line before environment (FIM_COLLECTOR_…) before default. */
export function collectorSettings(given: Given, env: Environment): CollectorSettings {
  const [state, store, listen, logLevel, name, cert, key] = texts.map((option) => {
    const text = given[option] ?? env[environmentName(option)];
    return typeof text === "string" && text !== "" ? text : undefined;
  });
  if ((cert === undefined) !== (key === undefined))
    throw invalid("--tls-cert and --tls-key: expected both or none");
  return {
    state: resolve(state ?? "/var/lib/fim-collector"),
    ...(store !== undefined && { store }),
    listen: read("--listen", parseListen(listen ?? "127.0.0.1:8686")),
    logLevel: read("--log-level", choices.logLevel(logLevel ?? "info")),
    name: read("--name", parseName(name ?? hostname())),
    ...(cert !== undefined && key !== undefined && { tls: { cert: pem(cert), key: pem(key) } }),
  };
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

function pem(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw invalid(`${file}: cannot be read (${(cause as NodeJS.ErrnoException).code})`);
  }
}

function invalid(message: string): IntegrityError {
  return new IntegrityError("CONFIG_INVALID", message, { hint: "see fim-collector --help" });
}
