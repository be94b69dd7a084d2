import type { Argv } from "yargs";
import { engines, formats, logLevels } from "../../config/options.ts";
import type { Settings } from "../../config/settings.ts";
import { severities } from "../../core/policy/rule.ts";
import type { Exit } from "../fail.ts";
import type { Given, PlainCommand } from "../fast-args.ts";

export type Run = (settings: Settings, given: Given) => Promise<Exit>;

export const loads: Readonly<Record<PlainCommand, () => Promise<Run>>> = {
  baseline: async () => (await import("./baseline.ts")).baseline,
  check: async () => (await import("./check.ts")).check,
  watch: async () => await (await import("./drop-privileges.ts")).loadWatch(),
};

const sinceOption = {
  type: "string",
  requiresArg: true,
  describe: "a duration before now (24h) or a time (RFC 3339)",
} as const;

const minSeverityOption = {
  choices: severities,
  requiresArg: true,
  describe: "nothing below this severity",
} as const;

export const agentWhat = "File integrity monitor for Kubernetes control-plane nodes";

/**
 * Makes the handler of a command from the module that has it. The operand's name is written as yargs writes it: "path"
 * for one, "path.." for several.
 */
type Runner = (load: () => Promise<Run>, operand?: string) => (line: Given) => Promise<void>;

/** Defines the options and commands of fim-agent. */
export function agentCommands(parser: Argv, run: Runner): Argv {
  const parts = [options, baselineCommands, nodeCommands, evidenceCommands];
  return parts.reduce((defined, part) => part(defined, run), parser);
}

/** Commands that capture, compare and approve. */
function baselineCommands(parser: Argv, run: Runner): Argv {
  return parser
    .command(
      "baseline",
      "capture known-good state and sign it",
      (args) =>
        args
          .option("replace", {
            type: "boolean",
            describe: "put it in the place of the present one",
          })
          .option("if-missing", {
            type: "boolean",
            describe: "keep a trusted one, with exit code 0",
          })
          .option("reason", { type: "string", describe: "why, for the record" }),
      run(loads.baseline),
    )
    .command(
      "check [path..]",
      "compare the node with the baseline once",
      (args) =>
        args
          .positional("path", { type: "string", array: true })
          .option("min-severity", minSeverityOption)
          .option("all", { type: "boolean", describe: "list approved differences too" }),
      run(loads.check, "path.."),
    )
    .command(
      "accept [path..]",
      "approve the present state of these paths",
      acceptOptions,
      run(async () => (await import("./accept.ts")).acceptPaths, "path.."),
    );
}

function acceptOptions(args: Argv): Argv {
  return args
    .positional("path", { type: "string", array: true })
    .option("all", { type: "boolean", describe: "approve everything as it is" })
    .option("policy-in-force", {
      type: "boolean",
      describe: "approve the changed policy; also: --policy without a name",
    })
    .option("collector-log", {
      type: "boolean",
      describe: "take the log of a collector that was restored from a backup",
    })
    .option("dry-run", {
      type: "boolean",
      describe: "show what would be approved, sign nothing",
    })
    .option("expect", {
      type: "string",
      requiresArg: true,
      describe: "approve the only path if its content has this SHA-256",
    })
    .option("reason", { type: "string", describe: "why, for the record" });
}

/** Commands that look at the node and its agent. */
function nodeCommands(parser: Argv, run: Runner): Argv {
  return parser
    .command("watch", "run until SIGTERM: watch, alert, deliver", (args) => args, run(loads.watch))
    .command(
      "status",
      "how the agent of this state fares; 0 only if all is well",
      (args) => args,
      run(async () => (await import("./status.ts")).status),
    )
    .command(
      "audit",
      "owner and mode checks for the policy's files",
      (args) => args,
      run(async () => (await import("./audit.ts")).audit),
    );
}

/** Commands that look at policies, signatures and this machine. */
function evidenceCommands(parser: Argv, run: Runner): Argv {
  return parser
    .command("policy", "policies: lint, explain, show", (args) => policyCommands(args, run))
    .command(
      "verify [export]",
      "check the signatures of the baseline and of the alerts, offline",
      (args) =>
        args
          .positional("export", { type: "string", describe: "an exported chain" })
          .option("key", { type: "string", describe: "file with the public key to trust" }),
      run(async () => (await import("./verify.ts")).verify, "export"),
    )
    .command(
      "export",
      "records and signatures of the chain on stdout, for verify FILE",
      (args) => args.option("since", sinceOption),
      run(async () => (await import("./export.ts")).exportRecords),
    )
    .command(
      "log",
      "alerts of the chain, newest last",
      (args) =>
        args
          .option("since", sinceOption)
          .option("min-severity", minSeverityOption)
          .option("path", {
            type: "string",
            requiresArg: true,
            describe: "a path or a glob, such as '/etc/kubernetes/**'",
          })
          .option("follow", { type: "boolean", describe: "continue until SIGINT" }),
      run(async () => (await import("./log.ts")).log),
    )
    .command(
      "doctor",
      "what this node supports, and what would be watched",
      (args) => args,
      run(async () => (await import("./doctor.ts")).doctor),
    )
    .command("key", "this agent's key: show, rotate", (args) => keyCommands(args, run))
    .command("webhook", "the webhooks: test", (args) => webhookCommands(args, run));
}

function loadPolicyCommands() {
  return import("./policy.ts");
}

function policyCommands(parser: Argv, run: Runner): Argv {
  return parser
    .command(
      "lint [file..]",
      "is it valid",
      (args) => args.positional("file", { type: "string", array: true }),
      run(async () => (await loadPolicyCommands()).lint, "file.."),
    )
    .command(
      "explain [path]",
      "which rule holds for a path, and why",
      (args) => args.positional("path", { type: "string" }),
      run(async () => (await loadPolicyCommands()).explain, "path"),
    )
    .command(
      "show",
      "the merged policy",
      (args) => args,
      run(async () => (await loadPolicyCommands()).show),
    )
    .demandCommand(1, "policy: lint, explain or show is needed");
}

function webhookCommands(parser: Argv, run: Runner): Argv {
  return parser
    .command(
      "test [name]",
      "send a signed test event; enables a webhook that a 410 disabled",
      (args) => args.positional("name", { type: "string" }),
      run(async () => (await import("./webhook.ts")).test),
    )
    .demandCommand(1, "webhook: test is needed");
}

function loadKeyCommands() {
  return import("./key.ts");
}

function keyCommands(parser: Argv, run: Runner): Argv {
  return parser
    .command(
      "show",
      "the public key",
      (args) => args,
      run(async () => (await loadKeyCommands()).show),
    )
    .command(
      "rotate",
      "make a new key, vouched for by the old one",
      (args) => args,
      run(async () => (await loadKeyCommands()).rotate),
    )
    .demandCommand(1, "key: show or rotate is needed");
}

/** As text: loadSettings parses all sources, with one set of messages. */
function options(parser: Argv): Argv {
  const text = { type: "string", requiresArg: true } as const;
  return parser
    .option("config", { ...text, describe: "YAML file with these options and more" })
    .option("root", { ...text, describe: "where the node's root is seen", defaultDescription: "/" })
    .option("state", {
      ...text,
      describe: "key, database, outbox",
      defaultDescription: "/var/lib/fim-agent",
    })
    .option("policy", {
      ...text,
      array: true,
      nargs: 1,
      describe: "name or file; repeatable",
      defaultDescription: "auto",
    })
    .option("node", { ...text, describe: "this node's name", defaultDescription: "host name" })
    .option("cluster", { ...text, describe: "its cluster", defaultDescription: "default" })
    .option("engine", { ...text, describe: engines.join(", "), defaultDescription: "auto" })
    .option("format", { ...text, describe: formats.join(", "), defaultDescription: "table" })
    .option("listen", {
      ...text,
      describe: "health and metrics of watch",
      defaultDescription: "127.0.0.1:9464",
    })
    .option("log-level", { ...text, describe: logLevels.join(", "), defaultDescription: "info" });
}
