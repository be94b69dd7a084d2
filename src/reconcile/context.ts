import type { Logger } from "pino";
import type { HashPool } from "../observe/hash/pool.ts";
import type { Coalescer } from "../watch/coalesce.ts";
import type { Committer } from "./commit.ts";
import type { Metrics } from "../health/metrics.ts";
import type { Node } from "../node/node.ts";
import type { Settings } from "../config/settings.ts";
import type { State } from "../node/state.ts";
import type { HealthStatus } from "../health/status.ts";

/** What the parts of a running agent share. */
export interface AgentContext {
  readonly node: Node;
  readonly state: State;
  readonly settings: Settings;
  readonly log: Logger;
  readonly committer: Committer;
  readonly metrics: Metrics;
  readonly health: HealthStatus;
  readonly coalescer: Coalescer;
  readonly pool: HashPool;
  readonly signal: AbortSignal;
}
