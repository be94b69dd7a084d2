import { join } from "node:path";
import { isAtLeast } from "../../src/core/policy/rule.ts";
import type { Severity } from "../../src/core/policy/rule.ts";
import type { Watching } from "./agent.ts";
import { inShort, makeNode, reportedBy, typesOf } from "./node.ts";
import type { Alert, Ground, NodeOptions, TestNode, WatchOptions } from "./node.ts";
import type { Receiver } from "./receiver.ts";
import { until } from "./wait.ts";

/** A node with a baseline, a running agent and the receiver of its alerts. */
export interface RunningNode extends Omit<TestNode, keyof Disposable>, AsyncDisposable {
  readonly watching: Watching;
  readonly receiver: Receiver;
  /** Starts the agent once more, when it has ended. */
  again(): Promise<Watching>;
  /** Every alert so far; of a control-plane node without the marks and without the program's own files. */
  alerts(): readonly Alert[];
  /** Types of the accepted events. */
  events(): readonly string[];
  /** Awaits the first alert that is as wanted, after that many. */
  alerted(isWanted: (alert: Alert) => boolean, after?: number): Promise<Alert>;
  /** Makes a change whose alert follows all that was before: everything is swept, and a mark arrives. */
  catchUp(): Promise<void>;
}

export interface StartOptions extends NodeOptions, Pick<WatchOptions, "engine" | "seenAt"> {
  /** Before the baseline is captured. */
  readonly prepare?: (ground: Ground) => void | Promise<void>;
  /** What starts the agent, in the place of bin/fim-agent. */
  readonly program?: string | ((ground: Ground) => string);
  readonly watch?: Readonly<Record<string, string>>;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly minSeverity?: Severity;
}

/** Other processes may work on the program's own files, which the agent guards too, while tests run. */
const program = join(import.meta.dirname, "../..");
const mark = "/etc/kubernetes/marker-";

export const isGrave = ({ verdict, severity }: Alert): boolean =>
  verdict === "unexpected" && isAtLeast(severity, "high");

/**
 * Unless options say otherwise, the engine is fanotify. A control-plane node has a frequent quick sweep; of another it
 * is so rare that only events report anything.
 */
export async function startNode(options: StartOptions): Promise<RunningNode> {
  await using stack = new AsyncDisposableStack();
  const node = stack.use(makeNode(options));
  await options.prepare?.(node);
  await node.capture();
  const receiver = stack.use(await node.startReceiver());
  const again = async (): Promise<Watching> =>
    await node.watch(watchOptions(node, receiver.url, options));
  const watching = stack.use(await again());
  const all = (): readonly Alert[] =>
    receiver.accepted().flatMap(({ data }) => reportedBy(data) ?? []);
  const isCounted = options.tree ? isOfNode : () => true;
  const alerts = (): readonly Alert[] => all().filter(isCounted);
  let marks = 0;
  const makeMark = async (): Promise<void> => {
    const path = `${mark}${(marks += 1)}`;
    node.write(path, path);
    await until(() => all().some((one) => one.path === path), 60_000);
  };
  const owned = stack.move();
  return {
    ...node,
    watching,
    receiver,
    again,
    alerts,
    events: () => typesOf(receiver),
    alerted: async (isWanted, after = 0) => {
      try {
        return await until(() => alerts().slice(after).find(isWanted), 30_000);
      } catch (cause) {
        const found = inShort(alerts().slice(after)).join("\n");
        const said = watching.lines.slice(-10).join("\n");
        throw new Error(`not alerted: ${isWanted.toString()}; but:\n${found}\n${said}`, { cause });
      }
    },
    catchUp: async () => {
      await swept(watching);
      await makeMark();
      await makeMark();
    },
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  };
}

function watchOptions(node: TestNode, url: string, options: StartOptions): WatchOptions {
  const { engine = "fanotify", seenAt, minSeverity, watch, config } = options;
  const own = typeof options.program === "function" ? options.program(node) : options.program;
  return {
    engine,
    ...(seenAt !== undefined && { seenAt }),
    ...(own !== undefined && { program: own }),
    config: {
      webhooks: [{ url, secret: node.secretFile, ...(minSeverity && { minSeverity }) }],
      ...config,
      watch: { quickSweepEvery: options.tree ? "300ms" : "10m", ...watch },
    },
  };
}

const isOfNode = ({ path }: Alert): boolean =>
  !path.startsWith(mark) && !path.startsWith(`${program}/`);

/** Two quick sweeps have ended since the call, so that one of them began after it. */
async function swept(watching: Watching): Promise<void> {
  for (let sweeps = 0; sweeps < 2; sweeps += 1) {
    const from = performance.now();
    await until(async () => {
      const age = (await watching.metrics()).get('fim_sweep_age_seconds{sweep="quick"}');
      return age !== undefined && age * 1000 < performance.now() - from;
    }, 60_000);
  }
}
