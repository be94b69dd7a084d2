import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { captureBaseline } from "../agent/commands/capture.ts";
import { watchNode } from "../agent/watch.ts";
import { makeSecret, tokenDigest } from "../collector/enroll/token.ts";
import { hashPassword } from "../collector/password.ts";
import { startServing } from "../collector/serve.ts";
import type { Serving } from "../collector/serve.ts";
import { loadSettings } from "../config/load.ts";
import type { Settings } from "../config/settings.ts";
import { IntegrityError } from "../core/error.ts";
import { createFile } from "../baseline/durable.ts";
import { openNode } from "../node/node.ts";
import type { Node } from "../node/node.ts";
import { createState } from "../node/state.ts";
import type { State } from "../node/state.ts";
import { readText } from "./files.ts";
import { createLog } from "./log.ts";
import { out, printAlert } from "./print.ts";
import { writeFileSync } from "node:fs";

interface LocalOptions {
  readonly root: string;
  /** The directory of everything that both programs keep. */
  readonly place: string;
  /** Called when no change can be missed any more. */
  readonly onReady?: (serving: Serving) => void;
}

const pageUser = "admin";
const hour = 3_600_000;

/** A collector and an agent for this terminal: captures a baseline if there is none, prints each alert as one line. */
export async function runLocally(options: LocalOptions, signal: AbortSignal): Promise<void> {
  const settings = await localSettings(options);
  using node = await openNode(settings);
  using state = createState(settings);
  const log = createLog({ ...settings, logLevel: "warn" });
  await using serving = await startCollector(join(options.place, "collector"), log);
  await requireBaseline(node, state, settings);
  const joinToken = await joinTokenFile(serving, settings);
  const joined = { ...settings, collector: { url: serving.address, joinToken } };
  await watchNode(node, state, {
    signal,
    options: {
      settings: joined,
      log,
      onAlert: (alert) => printAlert("table", alert),
      onReady: ({ host, port }) => {
        out(
          `watching ${state.current.count()} paths; health and metrics on http://${host}:${port}/`,
        );
        out("alerts appear here and on the page; Ctrl-C stops");
        options.onReady?.(serving);
      },
    },
  });
}

/** Another process may use the default port: this agent takes a free one. */
function localSettings({ root, place }: LocalOptions): Promise<Settings> {
  const argv = { root, state: join(place, "agent"), listen: "127.0.0.1:0" };
  return loadSettings(argv, process.env, readText);
}

/** On the usual port, or on a free one where another collector has that. */
async function startCollector(
  state: string,
  log: Parameters<typeof startServing>[1],
): Promise<Serving> {
  const settings = { state, name: "local" };
  const serving = await startServing({ ...settings, listen: usual }, log).catch(
    async (error: unknown) => {
      if (!(error instanceof IntegrityError) || error.code !== "CONFIG_INVALID") throw error;
      return await startServing({ ...settings, listen: { ...usual, port: 0 } }, log);
    },
  );
  out(`collector: ${serving.address}/`);
  await requireLogin(serving, state);
  return serving;
}

const usual = { host: "127.0.0.1", port: 8686 };

/** A user with a random password, made at the first start and kept beside the database. */
async function requireLogin({ collector }: Serving, state: string): Promise<void> {
  const file = join(state, "password");
  const password = randomBytes(12).toString("base64url");
  const { users } = collector.store;
  if (await users.add(pageUser, await hashPassword(password), Date.now()))
    createFile(file, `${password}\n`);
  const known = await readText(file).catch(() => undefined);
  out(`log in as ${pageUser}${known === undefined ? "" : ` with the password ${known.trim()}`}`);
}

/** A token for this node alone, for the agent's first start. */
async function joinTokenFile({ collector }: Serving, settings: Settings): Promise<string> {
  const secret = makeSecret("fimjoin");
  const expires = Date.now() + hour;
  await collector.store.addToken(tokenDigest(secret), { node: settings.node, expires });
  const file = join(settings.state, "join-token");
  writeFileSync(file, `${secret}\n`, { mode: 0o600 });
  return file;
}

async function requireBaseline(node: Node, state: State, settings: Settings): Promise<void> {
  if (state.baseline.exists()) return;
  out(`policy ${node.policy.name}: capturing a baseline of ${settings.root}`);
  const { statement } = await captureBaseline(node, state, {
    settings,
    reason: "first start",
    replace: false,
  });
  out(`baseline: ${statement.rows} paths, signed by ${statement.key}`);
}

/** Ctrl-C and SIGTERM end it in order. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stop.abort());
  return stop.signal;
}
