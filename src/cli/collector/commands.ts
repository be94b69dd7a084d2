import type { Argv } from "yargs";
import type { CollectorSettings } from "../../collector/settings.ts";
import { formats, logLevels } from "../../config/options.ts";
import type { Exit } from "../fail.ts";

const text = { type: "string", requiresArg: true } as const;

export type Given = Readonly<Record<string, unknown>>;
export type Run = (settings: CollectorSettings, given: Given) => Promise<Exit>;

export const collectorWhat = "Receives, verifies and keeps what the agents of a fleet report";

/**
 * Makes the handler of a command from the module that has it. The operand's name is written as yargs writes it: "path"
 * for one, "path.." for several.
 */
type Runner = (load: () => Promise<Run>, operand?: string) => (line: Given) => Promise<void>;

/** Defines the options and commands of fim-collector. */
export function collectorCommands(parser: Argv, run: Runner): Argv {
  return evidenceCommands(options(parser), run)
    .command(
      "serve",
      "run until SIGTERM: receive, keep, watch over the nodes, show",
      serveOptions,
      run(async () => (await import("./serve.ts")).serveCommand),
    )
    .command(
      "token",
      "print a join token for one node, usable once",
      (args) =>
        args
          .option("node", { ...text, demandOption: true, describe: "the node's name" })
          .option("ttl", {
            ...text,
            describe: "how long it is good for",
            defaultDescription: "1h",
          }),
      run(async () => (await import("./token.ts")).token),
    )
    .command(
      "backup <file>",
      "copy the database, also while a collector serves",
      (args) => args.positional("file", { type: "string" }),
      run(async () => (await import("./backup.ts")).backup, "file"),
    )
    .command(
      "doctor",
      "say whether a collector could serve with these settings, and what to do",
      serveOptions,
      run(async () => (await import("./doctor.ts")).doctor),
    )
    .command("user", "people and programs that may read: add", (args) => userCommands(args, run));
}

function serveOptions(parser: Argv): Argv {
  return parser
    .option("keep-days", {
      ...text,
      describe: "delete records after this many days",
      defaultDescription: "never",
    })
    .option("keep-bytes", {
      ...text,
      describe: "delete the oldest days while the store is larger, such as 100GiB",
      defaultDescription: "never",
    })
    .option("runbook", {
      ...text,
      describe: "address that says what to do, with {rule}, {type} or {severity} in it",
      defaultDescription: "none",
    })
    .option("plain-http", {
      type: "boolean",
      describe: "speak no TLS, also to other hosts",
    })
    .option("service-account", {
      ...text,
      describe: "NAMESPACE/NAME whose tokens let a node enrol",
    })
    .option("audience", {
      ...text,
      describe: "for which these tokens are made",
      defaultDescription: "fim-collector",
    })
    .option("cluster", {
      ...text,
      describe: "of the API server that makes these tokens",
      defaultDescription: "default",
    })
    .option("jwks", { ...text, describe: "file with the API server's public keys, to ask none" })
    .option("issuer", { ...text, describe: "of the tokens; with --jwks" })
    .option("authorized-agents", {
      ...text,
      describe: "file with the keys of nodes that need no token",
    });
}

function evidenceCommands(parser: Argv, run: Runner): Argv {
  return parser
    .command(
      "export",
      "write records, signatures and proofs to stdout, as evidence",
      (args) =>
        args
          .option("node", { ...text, describe: "only the records of this node" })
          .option("since", { ...text, describe: "only what was received since, such as 24h" }),
      run(async () => (await import("./export.ts")).exportEvidence),
    )
    .command(
      "verify <file>",
      "verify an exported file, offline",
      (args) =>
        args
          .positional("file", { type: "string" })
          .option("key", { ...text, describe: "file with the collector's public key" })
          .option("format", {
            ...text,
            choices: formats,
            describe: "how to print",
            default: "table",
          }),
      run(async () => (await import("./verify.ts")).verify, "file"),
    )
    .command("key", "this collector's public key: show", (args) =>
      args
        .command(
          "show",
          "print it, for verify --key",
          (none) => none,
          run(async () => (await import("./key.ts")).showKey),
        )
        .demandCommand(1, "key: show is needed"),
    );
}

function userCommands(parser: Argv, run: Runner): Argv {
  return parser
    .command(
      "add <user>",
      "let this user log in; asks for a password",
      (args) =>
        args
          .positional("user", { type: "string", describe: "name of a person or a program" })
          .option("token", {
            type: "boolean",
            describe: "print a bearer token for the API instead",
          }),
      run(async () => (await import("./user.ts")).addUser, "user"),
    )
    .demandCommand(1, "user: add is needed");
}

function options(parser: Argv): Argv {
  return parser
    .option("state", {
      ...text,
      describe: "key and database",
      defaultDescription: "/var/lib/fim-collector",
    })
    .option("store", {
      ...text,
      describe: "sqlite:FILE, or postgres://USER:PASSWORD@HOST/DATABASE",
      defaultDescription: "a database in --state",
    })
    .option("listen", { ...text, describe: "HOST:PORT", defaultDescription: "127.0.0.1:8686" })
    .option("config", { ...text, describe: "YAML file with the receivers of alerts, webhooks:" })
    .option("tls-cert", { ...text, describe: "certificate chain, PEM file" })
    .option("tls-key", { ...text, describe: "its private key, PEM file" })
    .option("name", {
      ...text,
      describe: "this collector's name in its own records",
      defaultDescription: "host name",
    })
    .option("log-level", { ...text, describe: logLevels.join(", "), defaultDescription: "info" });
}
