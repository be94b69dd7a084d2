import type { Logger } from "pino";
import type { HashPool } from "../observe/pool.ts";
import type { Coalescer } from "../watch/coalesce.ts";
import type { Ledger } from "./ledger.ts";
import type { Metrics } from "./metrics.ts";
import type { Node } from "./node.ts";
import type { Settings } from "./settings.ts";
import type { State } from "./state.ts";
import type { Wellbeing } from "./wellbeing.ts";

/** Everything that the parts of a running agent share. */
export interface Running {
  readonly node: Node;
  readonly state: State;
  readonly settings: Settings;
  readonly log: Logger;
  readonly ledger: Ledger;
  readonly metrics: Metrics;
  readonly wellbeing: Wellbeing;
  readonly coalescer: Coalescer;
  readonly pool: HashPool;
  readonly signal: AbortSignal;
}
