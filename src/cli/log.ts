import pino from "pino";
import type { Logger } from "pino";
import type { Settings } from "../config/settings.ts";

/** Log lines on stderr: JSON, or a short line on a terminal. */
export function createLog(settings: Pick<Settings, "logLevel" | "node">): Logger {
  const options = { level: settings.logLevel, base: { node: settings.node } };
  if (!process.stderr.isTTY) {
    const stderr = pino.destination({ fd: 2, sync: true });
    // A log that cannot be written (a full disk) does not end the watch.
    stderr.on("error", () => undefined);
    return pino(options, stderr);
  }
  return pino(options, { write: (line: string) => process.stderr.write(brief(line)) });
}

function brief(line: string): string {
  const { level, time, msg, node: _, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const name = pino.levels.labels[Number(level)] ?? String(level);
  const facts = Object.entries(rest).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  const at = new Date(Number(time)).toISOString().slice(11, 19);
  return [at, name, String(msg), ...facts].join(" ") + "\n";
}
