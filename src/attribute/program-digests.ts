import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { chooseCgroup, isStaticPod, parseCgroupPath } from "../core/cgroup.ts";
import type { Actor } from "../core/change/hint.ts";
import type { ApprovedProgram } from "../core/record/program.ts";
import { Stat } from "../linux/statx.ts";
import { readProcess } from "./process.ts";

/** So that one read does not delay the event loop. */
const chunkSize = 1 << 20;
const mostRemembered = 200;

/** Digests of the programs that living processes run, by the kernel's link to the executed file. */
export class ProgramDigests {
  readonly #proc: string;
  /** By the file's identity, size and change time. */
  readonly #files = new Map<string, string>();
  /** By process and executable. */
  readonly #processes = new Map<string, string>();

  constructor(proc = "/proc") {
    this.#proc = proc;
  }

  /** Reads the programs of these actors, as long as their processes live. */
  async learn(actors: readonly Actor[]): Promise<void> {
    for (const actor of actors) {
      const { executable, container } = actor;
      if (!executable || !isStaticPod(container?.podUid)) continue;
      const digest = await this.#read(actor.pid, executable);
      if (this.#processes.size >= mostRemembered) this.#processes.clear();
      if (digest !== undefined) this.#processes.set(keyOf(actor), digest);
    }
  }

  /** SHA-256 of the actor's program. Undefined: not learnt, or the process had ended. */
  of(actor: Actor): string | undefined {
    return this.#processes.get(keyOf(actor));
  }

  /** The programs of these names that run in static pods now. */
  async running(writers: ReadonlySet<string>): Promise<readonly ApprovedProgram[]> {
    const found: ApprovedProgram[] = [];
    if (writers.size === 0) return found;
    for (const { pid, exe, executable } of this.#inStaticPods()) {
      if (!writers.has(exe)) continue;
      const sha256 = await this.#read(pid, executable);
      if (sha256 !== undefined) found.push({ exe, sha256 });
    }
    return found;
  }

  /** Whether any process runs in a static pod. */
  get hasStaticPods(): boolean {
    return this.#inStaticPods().next().done !== true;
  }

  *#inStaticPods(): Generator<{
    readonly pid: number;
    readonly exe: string;
    readonly executable: NonNullable<Actor["executable"]>;
  }> {
    for (const name of readdirSync(this.#proc)) {
      if (!/^\d+$/.test(name)) continue;
      const live = readProcess(this.#proc, Number(name));
      const { podUid } = parseCgroupPath(chooseCgroup(live?.cgroups ?? "") ?? "") ?? {};
      if (!live?.exe || !live.executable || !isStaticPod(podUid)) continue;
      yield { pid: live.pid, exe: live.exe, executable: live.executable };
    }
  }

  async #read(
    pid: number,
    { dev, ino }: NonNullable<Actor["executable"]>,
  ): Promise<string | undefined> {
    let file: FileHandle | undefined;
    try {
      file = await open(`${this.#proc}/${pid}/exe`, "r");
      const stat = new Stat();
      if (stat.fill(file.fd) !== 0 || stat.dev !== dev || stat.ino !== ino) return undefined;
      const { seconds, nanoseconds } = stat.ctime;
      const key = [dev, ino, stat.size, seconds, nanoseconds].join(" ");
      const known = this.#files.get(key) ?? (await digestOf(file));
      if (this.#files.size >= mostRemembered) this.#files.clear();
      this.#files.set(key, known);
      return known;
    } catch {
      // The process has ended, or its program is not readable: then it is not approved.
      return undefined;
    } finally {
      await file?.close();
    }
  }
}

function keyOf({ pid, executable }: Actor): string {
  return `${pid} ${executable?.dev} ${executable?.ino}`;
}

async function digestOf(file: FileHandle): Promise<string> {
  const hash = createHash("sha256");
  const chunk = Buffer.allocUnsafe(chunkSize);
  for (let at = 0; ;) {
    const { bytesRead } = await file.read(chunk, 0, chunkSize, at);
    if (bytesRead === 0) return hash.digest("hex");
    hash.update(chunk.subarray(0, bytesRead));
    at += bytesRead;
  }
}
