import type { Database } from "better-sqlite3";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Baseline } from "../../src/baseline/baseline.ts";
import type { Approval } from "../../src/baseline/baseline.ts";
import { createKey, loadKey } from "../../src/baseline/key.ts";
import type { AgentKey } from "../../src/baseline/key.ts";
import { rowOf } from "../../src/core/change/observation.ts";
import type { Observation } from "../../src/core/change/observation.ts";
import { Outbox } from "../../src/outbox/outbox.ts";
import { openStateDatabase } from "../../src/node/database.ts";

export const at = "2026-11-23T12:00:00.000Z";

export function seenFile(ino: number, more: Partial<Observation> = {}): Observation {
  const stamp = "2026-11-23T00:00:00.123456789Z";
  return {
    type: "file",
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: 3131,
    mtime: stamp,
    ctime: stamp,
    dev: "8:1",
    ino: String(ino),
    nlink: 1,
    sha256: ino.toString(16).padStart(64, "0"),
    ...more,
  };
}

export function rowFor(ino: number): string {
  return rowOf(seenFile(ino));
}

export function approval(more: Partial<Approval> = {}): Approval {
  const policy = { name: "kubeadm", text: '[{"id":"kubeadm/static-pods"}]' };
  return { node: "cp-1", cluster: "prod", policy, at, reason: "first", ...more };
}

/** A state directory with a key and an open database, removed at the end. */
export class State {
  readonly dir: string;
  readonly file: string;
  readonly key: AgentKey;
  readonly db: Database;
  readonly #owned: boolean;

  constructor(dir?: string) {
    this.#owned = dir === undefined;
    this.dir = dir ?? mkdtempSync(join(tmpdir(), "fim-state-"));
    this.file = join(this.dir, "state.db");
    this.key = loadKey(this.dir) ?? createKey(this.dir);
    this.db = openStateDatabase(this.file);
  }

  baseline(key: AgentKey = this.key): Baseline {
    return new Baseline(this.db, { stateDir: this.dir, key });
  }

  /** A baseline of /etc/file-0 … */
  captured(rows = 3): Baseline {
    const baseline = this.baseline();
    using capture = baseline.begin();
    capture.add(
      Array.from({ length: rows }, (_, ino) => [`/etc/file-${ino}`, rowFor(ino)] as const),
    );
    baseline.finish(capture, approval());
    return baseline;
  }

  outbox(key: AgentKey = this.key): Outbox {
    const body = { node: "cp-1", cluster: "prod" };
    const genesis = { chain: "prod/cp-1/1", at, body };
    return new Outbox(this.db, { key: key.privateKey, genesis });
  }

  [Symbol.dispose](): void {
    this.db.close();
    if (this.#owned) rmSync(this.dir, { recursive: true, force: true });
  }
}
