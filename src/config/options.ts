/** A parsed text, or its problem. */
export type Read<Value> = { readonly value: Value } | { readonly problem: string };

export const engines = ["auto", "fanotify", "chokidar", "sweep"] as const;
export type Engine = (typeof engines)[number];

export const formats = ["table", "json", "ndjson"] as const;
export type Format = (typeof formats)[number];

/** The levels of pino, and silence. */
export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface Listen {
  readonly host: string;
  readonly port: number;
}

export const choices = {
  engine: (text: string) => oneOf(engines, text),
  format: (text: string) => oneOf(formats, text),
  logLevel: (text: string) => oneOf(logLevels, text),
};

/** "HOST:PORT" or "[IPv6]:PORT". Port 0: the system chooses. */
export function parseListen(text: string): Read<Listen> {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host !== undefined && port <= 65_535) return { value: { host, port } };
  return { problem: `expected HOST:PORT, found ${quoted(text)}` };
}

/** A name of a node or a cluster. It is part of the chain's id, in which "/" separates. */
export function parseName(text: string): Read<string> {
  if (/^[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?$/.test(text)) return { value: text };
  return { problem: `expected letters, digits, ".", "-" and "_", found ${quoted(text)}` };
}

/** An option as the command line writes it, without the dashes in front: "log-level". */
export function dashed(option: string): string {
  return option.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** A file, not the name of a shipped policy. */
export function isPolicyFile(name: string): boolean {
  return /\/|\.ya?ml$/.test(name);
}

function oneOf<Value extends string>(values: readonly Value[], text: string): Read<Value> {
  const value = values.find((each) => each === text);
  if (value !== undefined) return { value };
  return { problem: `expected one of ${values.join(", ")}, found ${quoted(text)}` };
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
