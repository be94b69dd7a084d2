import { spawn } from "node:child_process";
import { once } from "node:events";
import { readStat } from "../../src/attribute/process.ts";
import { until } from "../helpers/wait.ts";

/** A process that has died and that its parent does not collect. */
export interface Zombie extends AsyncDisposable {
  readonly pid: number;
}

/** First runs a line of shell ("$0" is the argument), then a child that is `cat`. */
export async function makeZombie(line = ":", argument = ""): Promise<Zombie> {
  // The child lives until its parent is a program that knows of no children.
  const script = `${line}; cat <&3 & echo $!; exec sleep 600 3<&-`;
  const parent = spawn("sh", ["-c", script, argument], {
    stdio: ["ignore", "pipe", "ignore", "pipe"],
  });
  const [, output, , input] = parent.stdio;
  const ended = once(parent, "exit");
  const end = async (): Promise<void> => {
    parent.kill("SIGKILL");
    await ended;
  };
  try {
    if (!output || !input || !("end" in input)) throw new Error("sh was started without pipes");
    const [text] = (await once(output, "data")) as [Buffer];
    const pid = Number(text.toString());
    await until(() => readStat("/proc", parent.pid ?? 0)?.comm === "sleep");
    input.end();
    await until(() => readStat("/proc", pid)?.isExiting);
    return { pid, [Symbol.asyncDispose]: end };
  } catch (error) {
    await end();
    throw error;
  }
}
