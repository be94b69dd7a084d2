import type { Listen } from "../../config/options.ts";
import { messageOf } from "../../core/error.ts";

/** What a running agent's listener says. */
export interface Answers {
  readonly ready: boolean;
  /** Why it is not ready, sick or degraded. */
  readonly troubles: readonly string[];
  readonly engine?: string;
  readonly attribution?: string;
  readonly sweeps: readonly SweepAnswer[];
  /** Seconds in which quick sweeps look at every path of rules of high and of low severity. */
  readonly sweepRounds: Readonly<Record<string, number>>;
  /** RFC 3339, by sink. */
  readonly lastSuccess: ReadonlyMap<string, string>;
}

/** In seconds. */
interface SweepAnswer {
  readonly sweep: string;
  readonly age: number;
  readonly duration: number;
}

const patience = 5000;

/** Asks the listener of a running agent. A text: why it does not answer. */
export async function askAgent({ host, port }: Listen): Promise<Answers | string> {
  const place = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const get = async (path: string): Promise<string> => {
    const response = await fetch(`http://${place}${path}`, {
      signal: AbortSignal.timeout(patience),
    });
    return await response.text();
  };
  try {
    const [health, ready, metrics] = [
      await get("/healthz"),
      await get("/readyz"),
      await get("/metrics"),
    ];
    return answersOf(JSON.parse(health), JSON.parse(ready), metrics);
  } catch (error) {
    return `listener ${place}: ${messageOf(error)}`;
  }
}

function answersOf(health: unknown, ready: unknown, text: string): Answers {
  const { reasons: sick = [], degraded = [] } = health as Partial<Record<string, string[]>>;
  const { reasons: unready = [] } = ready as Partial<Record<string, string[]>>;
  const samples = parseSamples(text);
  const valuesOf = (name: string) => samples.filter((one) => one.name === name);
  const ages = valuesOf("fim_sweep_age_seconds");
  const durations = valuesOf("fim_sweep_duration_seconds");
  const engine = valuesOf("fim_engine_info")[0]?.label;
  const attribution = valuesOf("fim_attribution_info")[0]?.label;
  return {
    ready: unready.length === 0,
    troubles: [...new Set([...sick, ...degraded, ...unready])],
    ...(engine !== undefined && { engine }),
    ...(attribution !== undefined && { attribution }),
    sweeps: ages.map(({ label, value }) => ({
      sweep: label,
      age: value,
      duration: durations.find((one) => one.label === label)?.value ?? 0,
    })),
    sweepRounds: Object.fromEntries(
      valuesOf("fim_sweep_round_seconds").map(({ label, value }) => [label, value]),
    ),
    lastSuccess: new Map(
      valuesOf("fim_sink_last_success_timestamp_seconds").map(({ label, value }) => [
        label,
        new Date(value * 1000).toISOString(),
      ]),
    ),
  };
}

interface Sample {
  readonly name: string;
  readonly label: string;
  readonly value: number;
}

/** The samples with one label, of our own text: prometheus.io, exposition formats. */
function parseSamples(text: string): readonly Sample[] {
  return text.split("\n").flatMap((line) => {
    const [, name = "", label = "", value = ""] = /^(\w+)\{\w+="([^"]*)"\} (\S+)$/.exec(line) ?? [];
    return name === "" ? [] : [{ name, label, value: Number(value) }];
  });
}
