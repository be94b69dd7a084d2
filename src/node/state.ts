import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import type { Database } from "better-sqlite3";
import { Baseline } from "../baseline/baseline.ts";
import { Current } from "../baseline/current.ts";
import { createKey, loadKey } from "../baseline/key.ts";
import type { AgentKey } from "../baseline/key.ts";
import { PresentKey } from "../baseline/present.ts";
import { rawPublicKey } from "../core/record/dsse.ts";
import { IntegrityError } from "../core/error.ts";
import type { Statement } from "../core/record/statement.ts";
import { openStateDatabase } from "./database.ts";
import { Approvals } from "../outbox/approvals.ts";
import { Folds } from "../outbox/folds.ts";
import { Outbox } from "../outbox/outbox.ts";
import { Queue } from "../outbox/queue.ts";
import type { Settings } from "../config/settings.ts";
import { version } from "./version.ts";

/** Everything that the agent keeps on disk, opened. */
export interface State extends Disposable {
  readonly db: Database;
  readonly key: AgentKey;
  readonly baseline: Baseline;
  readonly current: Current;
  readonly outbox: Outbox;
  readonly queue: Queue;
  readonly approvals: Approvals;
  readonly folds: Folds;
}

type Where = Pick<Settings, "state" | "node" | "cluster">;

/** Opens the state directory; makes it where it is missing. */
export function createState(where: Where): State {
  const key = loadKey(where.state) ?? createKey(where.state);
  return open(where, key);
}

/** Opens the state directory of an agent with a baseline; throws BASELINE_MISSING and makes nothing. */
export function openState(where: Where): State {
  const key = loadKey(where.state);
  if (!key && !existsSync(databaseFile(where.state)))
    throw new IntegrityError("BASELINE_MISSING", `baseline: there is none in ${where.state}`, {
      hint: "capture one with: fim-agent baseline",
    });
  if (!key)
    throw new IntegrityError("KEY_INVALID", `key ${join(where.state, "agent.key")}: gone`, {
      hint: "find out who removed it; when the node is in order, move the state directory away and capture again",
    });
  return open(where, key);
}

/** The agent's last signature, if readable. Does not compare it with the rows and writes nothing. */
export function peekStatement(stateDir: string): Statement | undefined {
  try {
    const key = loadKey(stateDir);
    if (!key) return undefined;
    const db = openStateDatabase(databaseFile(stateDir), { readonly: true });
    try {
      return new Baseline(db, { stateDir, key }).signed();
    } finally {
      db.close();
    }
  } catch (error) {
    // The command that opens it for work reports the fault.
    if (error instanceof IntegrityError) return undefined;
    throw error;
  }
}

/** Another user who may write here could replace the database and the key. */
function requireOwn(directory: string): void {
  const { mode, uid } = statSync(directory);
  const isOwned = uid === 0 || uid === process.getuid?.();
  if (isOwned && (mode & 0o022) === 0) return;
  const found = isOwned
    ? `has mode ${(mode & 0o7777).toString(8).padStart(4, "0")}`
    : `belongs to uid ${uid}`;
  throw new IntegrityError("STATE_UNUSABLE", `state ${directory}: ${found}`, {
    hint: "it must belong to root or the agent's user, with mode 0700; find out who else could write it",
  });
}

/** The chain's id begins with cluster and node. */
function requireSameNode(chain: string, { state, node, cluster }: Where): void {
  const [ofCluster, ofNode] = chain.split("/");
  if (ofCluster === cluster && ofNode === node) return;
  throw new IntegrityError(
    "STATE_UNUSABLE",
    `state ${state}: belongs to node ${ofNode} of cluster ${ofCluster}, not to ${node} of ${cluster}`,
    {
      hint: "give this node a state directory of its own, or name the node with --node and --cluster",
    },
  );
}

function open(where: Where, loaded: AgentKey): State {
  requireOwn(where.state);
  const key = new PresentKey(where.state, loaded);
  const db = openStateDatabase(databaseFile(where.state));
  try {
    const genesis = {
      chain: `${where.cluster}/${where.node}/${randomBytes(8).toString("hex")}`,
      at: new Date().toISOString(),
      body: {
        node: where.node,
        cluster: where.cluster,
        publicKey: rawPublicKey(key.publicKey).toString("base64"),
        version,
      },
    };
    const outbox = new Outbox(db, {
      get key() {
        return key.privateKey;
      },
      genesis,
    });
    requireSameNode(outbox.chain, where);
    return {
      db,
      key,
      baseline: new Baseline(db, { stateDir: where.state, key }),
      current: new Current(db),
      outbox,
      queue: new Queue(db),
      approvals: new Approvals(db),
      folds: new Folds(db),
      [Symbol.dispose]: () => db.close(),
    };
  } catch (error) {
    db.close();
    throw error;
  }
}

function databaseFile(state: string): string {
  return join(state, "fim.db");
}
