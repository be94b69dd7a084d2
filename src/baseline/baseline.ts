import type { Database } from "better-sqlite3";
import type { KeyObject } from "node:crypto";
import { parseRecord } from "../core/record/chain.ts";
import { parseEnvelope } from "../core/record/dsse.ts";
import { IntegrityError } from "../core/error.ts";
import { encodePath } from "../core/path.ts";
import {
  digestRows,
  openStatement,
  payloadHash,
  sealStatement,
  sha256,
} from "../core/record/statement.ts";
import type { RowsDigest, Statement } from "../core/record/statement.ts";
import type { ApprovedMounts } from "../core/record/mounts.ts";
import type { ApprovedProgram } from "../core/record/program.ts";
import { judge, readAnchor } from "../core/record/trust.ts";
import type { Evidence } from "../core/record/trust.ts";
import { inSnapshot, transact } from "../sqlite/open.ts";
import { readRows, signedRows } from "./rows.ts";
import type { Rows } from "./rows.ts";
import { readAnchorFile, writeAnchorFile } from "./anchor.ts";
import { Capture } from "./capture.ts";
import type { AgentKey } from "./key.ts";

/** The facts signed beside the rows. */
export interface Approval {
  readonly node: string;
  readonly cluster: string;
  /** The merged policy; `text` is its canonical JSON, whose SHA-256 is signed. */
  readonly policy: { readonly name: string; readonly text: string };
  readonly at: string;
  readonly reason: string;
  /** Programs of static pods that are approved now. Absent: those of the last statement. */
  readonly programs?: readonly ApprovedProgram[];
  /** Absent: those of the last statement. */
  readonly mounts?: ApprovedMounts;
  /** Runs in the same transaction: queues the record of kind "baseline". */
  readonly also?: (statement: Statement) => void;
}

/** The row that the path gets. Absent: the path leaves the baseline. */
interface Acceptance {
  readonly path: string;
  readonly row?: string;
}

/** Where the baseline is stored, and its signing key. */
interface BaselineOptions {
  readonly stateDir: string;
  readonly key: AgentKey;
}

interface Stored {
  readonly counter: number;
  readonly envelope: string;
  readonly policy: string;
}

/** The approved state: rows, and a signed statement over them. */
export class Baseline {
  readonly rows: Rows;
  readonly #db: Database;
  readonly #stateDir: string;
  readonly #key: AgentKey;

  constructor(db: Database, { stateDir, key }: BaselineOptions) {
    this.rows = readRows(db, "baseline");
    this.#db = db;
    this.#stateDir = stateDir;
    this.#key = key;
  }

  /** Read for each use, because another process may rotate the key. */
  get #keys(): readonly KeyObject[] {
    return [this.#key.publicKey, ...this.#key.past];
  }

  /** True when a baseline exists, trusted or not. */
  exists(): boolean {
    return this.#stored() !== undefined;
  }

  /** Number of signatures so far; 0: none. */
  counter(): number {
    return inSnapshot(this.#db, () => this.#stored()?.counter ?? 0);
  }

  /** The canonical JSON of the policy that was in force when the baseline was signed. */
  policy(): string | undefined {
    return this.#stored()?.policy;
  }

  /** The statement, if one of our keys signed it. Does not compare it with the rows. */
  signed(): Statement | undefined {
    const envelope = parseEnvelope(this.#stored()?.envelope ?? "");
    const opened = envelope && openStatement(envelope, this.#keys);
    return opened?.kind === "good" ? opened.value : undefined;
  }

  /** Begins a capture. Without `replace` only where no baseline ever was. */
  begin({ replace = false }: { readonly replace?: boolean } = {}): Capture {
    if (!replace) this.#refuseExisting();
    return new Capture(this.#db, { stateDir: this.#stateDir, replace });
  }

  /** Signs the capture and replaces the baseline, in one commit. */
  finish(capture: Capture, approval: Approval): Statement {
    const taken = capture.digest();
    if (readAnchorFile(this.#stateDir) === undefined && !this.exists()) this.#announce(approval.at);
    const statement = transact(this.#db, () => {
      // Another process may have finished a capture since this one began.
      if (!capture.replace) this.#refuseExisting();
      capture.replaceBaseline();
      return this.#sign(taken, approval);
    });
    capture[Symbol.dispose]();
    this.#anchor(statement);
    // Frees the write-ahead log, which held every row.
    this.#db.pragma("wal_checkpoint(TRUNCATE)");
    return statement;
  }

  /** Adds rows to a trusted baseline or removes them, and signs it again. Without rows it only signs again. */
  accept(changes: Iterable<Acceptance>, approval: Approval): Statement {
    const put = this.#db.prepare<[Buffer, Buffer]>(
      "INSERT OR REPLACE INTO baseline (path, row) VALUES (?, ?)",
    );
    const remove = this.#db.prepare<[Buffer]>("DELETE FROM baseline WHERE path = ?");
    const statement = transact(this.#db, () => {
      // Otherwise the signature would cover an altered row too.
      this.#judged();
      for (const { path, row } of changes) {
        if (row === undefined) remove.run(encodePath(path));
        else put.run(encodePath(path), Buffer.from(row));
      }
      return this.#sign(this.#digest(), approval);
    });
    this.#anchor(statement);
    return statement;
  }

  /** The verified statement; throws BASELINE_MISSING or BASELINE_UNTRUSTED. */
  trust(): Statement {
    const { statement, anchorIsBehind } = inSnapshot(this.#db, () => this.#judged());
    // The agent stopped between the commit and the write of the anchor.
    if (anchorIsBehind && !this.#db.readonly) this.#anchor(statement);
    return statement;
  }

  #judged(): { readonly statement: Statement; readonly anchorIsBehind: boolean } {
    const judgement = judge(this.#evidence(), this.#keys);
    switch (judgement.kind) {
      case "trusted":
        return judgement;
      case "missing":
        throw new IntegrityError("BASELINE_MISSING", "baseline: there is none yet", {
          hint: "capture one with: fim-agent baseline",
        });
      case "gone":
        throw gone(judgement.counter, judgement.where);
      case "untrusted":
        throw new IntegrityError(
          "BASELINE_UNTRUSTED",
          `baseline: ${judgement.part} altered: ${judgement.why}`,
          {
            hint: recapture,
          },
        );
    }
  }

  #evidence(): Evidence {
    const stored = this.#stored();
    const anchor = readAnchorFile(this.#stateDir);
    const recorded = this.#recorded();
    return {
      ...(stored && { stored }),
      ...(anchor !== undefined && { anchor }),
      ...(recorded && { recorded }),
      isChainWhole: this.#isChainWhole(),
      rows: this.#digest(),
    };
  }

  #stored(): Stored | undefined {
    return this.#db
      .prepare<[], Stored>("SELECT counter, envelope, policy FROM statement WHERE id = 1")
      .get();
  }

  #digest(): RowsDigest {
    return digestRows(signedRows(this.#db, "baseline"));
  }

  /** The newest retained "baseline" record. */
  #recorded(): { readonly counter: number; readonly digest: string } | undefined {
    const bytes = this.#db
      .prepare<[], Buffer>(
        "SELECT bytes FROM record WHERE kind = 'baseline' ORDER BY seq DESC LIMIT 1",
      )
      .pluck()
      .get();
    const body = (bytes && parseRecord(bytes)?.body) as
      | { counter?: unknown; digest?: unknown }
      | undefined;
    const { counter, digest } = body ?? {};
    return typeof counter === "number" &&
      Number.isSafeInteger(counter) &&
      typeof digest === "string"
      ? { counter, digest }
      : undefined;
  }

  #isChainWhole(): boolean {
    return this.#db.prepare("SELECT 1 FROM record WHERE seq = 1").get() !== undefined;
  }

  #sign(found: RowsDigest, approval: Approval): Statement {
    const { node, cluster, policy, at, reason, also } = approval;
    const last = this.signed();
    const programs = approval.programs ?? last?.programs ?? [];
    const mounts = approval.mounts ?? last?.mounts;
    const fields = {
      node,
      cluster,
      at,
      reason,
      ...found,
      ...this.#next(),
      policy: { name: policy.name, digest: sha256(policy.text) },
      ...(programs.length > 0 && { programs }),
      ...(mounts && { mounts }),
    };
    const envelope = sealStatement(fields, this.#key.privateKey);
    const statement: Statement = { v: 1, ...fields, key: this.#key.id };
    this.#db
      .prepare(
        "INSERT OR REPLACE INTO statement (id, counter, envelope, policy) VALUES (1, ?, ?, ?)",
      )
      .run(statement.counter, JSON.stringify(envelope), policy.text);
    also?.(statement);
    return statement;
  }

  /** Continues from the highest known counter, even after the database was removed or replaced by an older one. */
  #next(): { readonly counter: number; readonly previous?: string } {
    const envelope = parseEnvelope(this.#stored()?.envelope ?? "");
    const anchor = readAnchor(readAnchorFile(this.#stateDir), this.#keys);
    const last = {
      stored: this.signed()?.counter ?? 0,
      anchored: typeof anchor === "object" ? anchor.counter : 0,
    };
    const counter = Math.max(last.stored, last.anchored, this.#recorded()?.counter ?? 0) + 1;
    if (envelope && last.stored >= last.anchored && last.stored > 0)
      return { counter, previous: payloadHash(envelope) };
    return typeof anchor === "object" && anchor.counter > 0
      ? { counter, previous: anchor.statement }
      : { counter };
  }

  #anchor({ counter, digest, at }: Statement): void {
    const envelope = parseEnvelope(this.#stored()?.envelope ?? "");
    if (!envelope) return;
    const anchor = { counter, digest, statement: payloadHash(envelope), at };
    writeAnchorFile(this.#stateDir, anchor, this.#key.privateKey);
  }

  /** Writes an anchor of counter 0 before the first commit, so that a missing anchor is always a finding. */
  #announce(at: string): void {
    writeAnchorFile(
      this.#stateDir,
      { counter: 0, digest: "", statement: "", at },
      this.#key.privateKey,
    );
  }

  #refuseExisting(): void {
    const stored = this.#stored();
    if (stored)
      throw new IntegrityError(
        "BASELINE_EXISTS",
        `baseline: there is one already (counter ${stored.counter})`,
        {
          hint: "to put another in its place: fim-agent baseline --replace --reason TEXT",
        },
      );
    const anchor = readAnchor(readAnchorFile(this.#stateDir), this.#keys);
    if (anchor === "altered" || (anchor !== "absent" && anchor.counter > 0) || this.#recorded())
      this.#judged();
  }
}

const recapture =
  "find out who did it; when the node is in order: fim-agent baseline --replace --reason TEXT";

function gone(counter: number, where: string): IntegrityError {
  return new IntegrityError(
    "BASELINE_MISSING",
    `baseline: the agent had one (counter ${counter}, says ${where}) and it is gone`,
    { hint: recapture },
  );
}
