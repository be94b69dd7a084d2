import type { Seen } from "./agent-log.ts";
import { service } from "./install.ts";
import { fetchInLab, kube } from "./lab.ts";
import { until } from "./report.ts";

const base = `http://${service.ip}:${service.port}`;
const scope = ["-n", "fim-system"];
/** Of the API, once there is one. */
let bearer: string | undefined;

function inCollector(...command: readonly string[]): string {
  const exec = ["exec", ...scope, "deployment/fim-collector", "--", "fim-collector"];
  return kube(...exec, ...command).trim();
}

function get(path: string): unknown {
  bearer ??= inCollector("user", "add", "e2e", "--token");
  return fetchInLab(base + path, bearer);
}

interface Node {
  readonly node: string;
  readonly state: string;
  readonly reasons: readonly string[];
}

/** Awaits a state of the only node: well, silent or degraded. */
export async function nodeIs(state: string, deadline: number): Promise<void> {
  let seen: readonly Node[] = [];
  await until(`a node that is ${state}`, deadline, () => {
    seen = (get("/v1/nodes") as { readonly items: readonly Node[] }).items;
    return seen.some((one) => one.state === state);
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(seen)}`);
  });
}

/** The alerts that the collector shows of a path, newest first. */
export function collected(path: string): readonly Seen[] {
  const { items } = get(`/v1/alerts?limit=1000&path=${encodeURIComponent(path)}`) as {
    readonly items: readonly { readonly unmapped?: { readonly fim?: Seen } }[];
  };
  return items.map(({ unmapped }) => unmapped?.fim).filter((seen) => seen !== undefined);
}

interface Created {
  readonly paths: number;
  readonly twice: number;
  readonly offline: number;
}

/** How many paths below a directory the collector has as created, how many of them twice, how many as offline. */
export function countCreated(dir: string): Created {
  let cursor: string | null = "";
  let offline = 0;
  const counts = new Map<string, number>();
  while (cursor !== null) {
    const after = cursor === "" ? "" : `&cursor=${cursor}`;
    const page = get(`/v1/alerts?limit=1000&change=created${after}`) as {
      readonly items: readonly { readonly unmapped?: { readonly fim?: Seen } }[];
      readonly next: string | null;
    };
    for (const { unmapped } of page.items) {
      const fim = unmapped?.fim;
      if (!fim?.path.startsWith(`${dir}/`)) continue;
      counts.set(fim.path, (counts.get(fim.path) ?? 0) + 1);
      if (fim.offline === true) offline += 1;
    }
    cursor = page.next;
  }
  const twice = [...counts.values()].filter((count) => count > 1).length;
  return { paths: counts.size, twice, offline };
}

interface Raised {
  readonly uid: string;
  readonly severity: string;
  readonly message: string;
}

/** All alerts and alarms above info, newest first. */
export function alarming(): readonly Raised[] {
  const page = get("/v1/alerts?limit=1000&severity=low,medium,high,critical") as {
    readonly items: readonly {
      readonly message?: string;
      readonly collector: {
        readonly uid: string;
        readonly severity: string;
        readonly type: string;
      };
    }[];
  };
  return page.items.map(({ message, collector: { uid, severity, type } }) => ({
    uid,
    severity,
    message: message ?? type,
  }));
}
