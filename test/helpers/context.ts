import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import pino from "pino";
import { captureBaseline } from "../../src/agent/commands/capture.ts";
import type { Settings } from "../../src/config/settings.ts";
import type { Rule } from "../../src/core/policy/rule.ts";
import { createMetrics } from "../../src/health/metrics.ts";
import { HealthStatus } from "../../src/health/status.ts";
import { openNode } from "../../src/node/node.ts";
import { createState } from "../../src/node/state.ts";
import { HashPool } from "../../src/observe/hash/pool.ts";
import { Committer } from "../../src/reconcile/commit.ts";
import type { AgentContext } from "../../src/reconcile/context.ts";
import { systemClock } from "../../src/watch/clock.ts";
import { Coalescer } from "../../src/watch/coalesce.ts";
import { eventContext } from "./judged.ts";
import { ruleWith } from "./rule.ts";
import { makePlace } from "./tree.ts";

/** The parts of a running agent over a tree of the test's own, with a baseline of it, and none of its loops. */
export interface TestContext extends AsyncDisposable {
  readonly context: AgentContext;
  readonly settings: Settings;
  /** A path as the node has it -> where it lies here. */
  readonly at: (path: string) => string;
  readonly write: (path: string, text: string) => void;
  /** Aborts the context's signal. */
  stop(): void;
}

interface ContextOptions {
  readonly files: Readonly<Record<string, string>>;
  readonly rules?: readonly Partial<Rule>[];
  readonly watch?: Partial<Settings["watch"]>;
  readonly webhooks?: Settings["webhooks"];
}

export async function makeContext(options: ContextOptions): Promise<TestContext> {
  await using stack = new AsyncDisposableStack();
  const place = stack.use(makePlace());
  const root = place.at("root");
  const at = (path: string): string => join(root, path);
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), text);
  };
  mkdirSync(root);
  for (const [path, text] of Object.entries(options.files)) write(path, text);
  const settings = settingsOf(root, place.at("state"), options);
  const rules = (options.rules ?? [{ paths: ["/etc/**"] }]).map((rule) => ruleWith(rule));
  const policy = {
    name: "test",
    description: "A tree",
    digest: "ab".repeat(32),
    rules,
  };
  const node = stack.use(await openNode(settings, policy));
  const state = stack.use(createState(settings));
  await captureBaseline(node, state, { settings, reason: "test", replace: false });
  const { uid: _, sequence: __, now: ___, ...shared } = eventContext();
  const committer = new Committer({ state, context: shared, maxBytes: 1 << 26, now: Date.now });
  const log = pino({ level: "silent" });
  const health = stack.use(new HealthStatus(committer.announce.bind(committer), log));
  const pool = stack.use(new HashPool({ root, workers: 1 }));
  const coalescer = stack.use(
    new Coalescer({
      isKnown: (path) => state.current.get(path) !== undefined,
      isIdle: () => false,
      clock: systemClock,
      onOverflow: () => undefined,
    }),
  );
  const stop = new AbortController();
  const metrics = createMetrics({ clock: Date.now, outbox: () => state.queue.backlog() });
  const parts = { node, state, settings, log, committer, metrics, health, coalescer, pool };
  const owned = stack.move();
  return {
    context: { ...parts, signal: stop.signal },
    settings,
    at,
    write,
    stop: () => stop.abort(),
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await owned.disposeAsync();
    },
  };
}

function settingsOf(root: string, state: string, options: ContextOptions): Settings {
  const { watch, webhooks = [] } = options;
  return {
    root,
    state,
    policy: ["test"],
    node: "cp-1",
    cluster: "prod",
    engine: "sweep",
    format: "table",
    listen: { host: "127.0.0.1", port: 0 },
    logLevel: "silent",
    webhooks,
    watch: {
      quickSweepEvery: 3_600_000,
      fullSweepEvery: 3_600_000,
      heartbeatEvery: 3_600_000,
      fullSweepBudget: 1 << 30,
      ...watch,
    },
    outbox: { maxBytes: 1 << 26 },
  };
}
