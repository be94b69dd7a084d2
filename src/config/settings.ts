import type { SinkSettings } from "../deliver/sink.ts";
import type { Engine, Format, Listen, LogLevel } from "./options.ts";

/** The command line's options, as yargs gives them. */
export interface Options {
  readonly config: string;
  readonly root: string;
  readonly state: string;
  readonly policy: readonly string[];
  readonly node: string;
  readonly cluster: string;
  readonly engine: string;
  readonly format: string;
  readonly listen: string;
  readonly logLevel: string;
}

interface CollectorSettings {
  readonly url: string;
  readonly ca?: string;
  readonly proxy?: string;
  readonly joinToken?: string;
}

/** All settings with every default. File paths are absolute. */
export interface Settings {
  /** The configuration file. */
  readonly config?: string;
  /** This and the state directory have no symbolic link on the way. */
  readonly root: string;
  readonly state: string;
  readonly policy: readonly string[];
  readonly node: string;
  readonly cluster: string;
  readonly engine: Engine;
  readonly format: Format;
  readonly listen: Listen;
  readonly logLevel: LogLevel;
  readonly collector?: CollectorSettings;
  readonly webhooks: readonly SinkSettings[];
  readonly watch: {
    /** Milliseconds. */
    readonly quickSweepEvery: number;
    readonly fullSweepEvery: number;
    readonly heartbeatEvery: number;
    /** Bytes a second. */
    readonly fullSweepBudget: number;
  };
  readonly outbox: { readonly maxBytes: number };
}
