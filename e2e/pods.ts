import { alertsOf } from "./agent-log.ts";
import type { Seen } from "./agent-log.ts";
import { intruder } from "./attacks.ts";
import { readyPod } from "./install.ts";
import type { Pod } from "./install.ts";
import { until } from "./report.ts";

const known: Pod[] = [];

/** The agent's pods so far, whose logs are read. */
export const pods = {
  last(): Pod {
    const pod = known.at(-1);
    if (!pod) throw new Error("no agent pod");
    return pod;
  },
  /** Awaits another pod than those so far. */
  async next(): Promise<Pod> {
    const pod = await readyPod(known);
    known.push(pod);
    return pod;
  },
} as const;

export function alerts(): readonly Seen[] {
  return alertsOf(known.map(({ uid }) => uid));
}

/** Awaits the alert of a change that the intruder made, with its pod and program. */
export async function reported(path: string, change: string): Promise<void> {
  const found = await until(`an alert of ${path}`, 120, () =>
    alerts().findLast((one) => one.path === path && one.change === change),
  );
  requireIntruder(found);
}

export function requireIntruder({ actor }: Seen): void {
  const { pod, namespace, name } = actor?.container ?? {};
  const isNamed =
    pod === intruder.pod && namespace === intruder.namespace && name === intruder.name;
  if (!isNamed || actor?.exe === undefined) throw new Error(`actor: ${JSON.stringify(actor)}`);
}
