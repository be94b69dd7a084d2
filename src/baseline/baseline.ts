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
import { judge, readAnchor } from "../core/record/trust.ts";
import type { Evidence } from "../core/record/trust.ts";
import { inSnapshot, transact } from "../sqlite/open.ts";
import { readRows, signedRows } from "./rows.ts";
import type { Rows } from "./rows.ts";
import { readAnchorFile, writeAnchorFile } from "./anchor.ts";
import { Capture } from "./capture.ts";
import type { AgentKey } from "./key.ts";

/** What is said, beside the rows, when a baseline is signed. */
export interface Approval {
  readonly node: string;
  readonly cluster: string;
  /** The merged policy; `text` is its canonical JSON, whose SHA-256 is signed. */
  readonly policy: { readonly name: string; readonly text: string };
  readonly at: string;
  readonly reason: string;
  /** Done in the same transaction: the record of kind "baseline" for the chain. */
  readonly also?: (statement: Statement) => void;
}

/** The row that a path shall have from now on. Absent: it shall not be in the baseline. */
export interface Acceptance {
  readonly path: string;
  readonly row?: string;
}

/** Where the baseline lives and who signs it. */
export interface BaselineOptions {
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

  /** Read anew each time: the key may have been rotated. */
  get #keys(): readonly KeyObject[] {
    return [this.#key.publicKey, ...this.#key.past];
  }

  /** True when there is one, trusted or not. */
  exists(): boolean {
    return this.#stored() !== undefined;
  }

  /** How often one was signed; 0: there is none. */
  counter(): number {
    return inSnapshot(this.#db, () => this.#stored()?.counter ?? 0);
  }

  /** The canonical JSON of the policy that was in force when the baseline was signed. */
  policy(): string | undefined {
    return this.#stored()?.policy;
  }

  /** The statement, if one of our keys signed it. Whether the rows are those that it is about is not looked at. */
  signed(): Statement | undefined {
    const envelope = parseEnvelope(this.#stored()?.envelope ?? "");
    const opened = envelope && openStatement(envelope, this.#keys);
    return opened?.kind === "good" ? opened.value : undefined;
  }

  /** Begins a capture. Without `replace` only where there is none and never was one. */
  begin({ replace = false }: { readonly replace?: boolean } = {}): Capture {
    if (!replace) this.#refuseExisting();
    return new Capture(this.#db, { stateDir: this.#stateDir, replace });
  }

  /** Signs what was captured and puts it in the place of the baseline, in one commit. */
  finish(capture: Capture, approval: Approval): Statement {
    const taken = capture.digest();
    if (readAnchorFile(this.#stateDir) === undefined && !this.exists()) this.#announce(approval.at);
    const statement = transact(this.#db, () => {
      // Another process may have finished one since we began.
      if (!capture.replace) this.#refuseExisting();
      capture.replaceBaseline();
      return this.#sign(taken, approval);
    });
    capture[Symbol.dispose]();
    this.#anchor(statement);
    // The write-ahead log held every row: give its room back.
    this.#db.pragma("wal_checkpoint(TRUNCATE)");
    return statement;
  }

  /** Puts these rows into a trusted baseline, or takes them out, and signs it again. None: only signs it again. */
  accept(changes: Iterable<Acceptance>, approval: Approval): Statement {
    const put = this.#db.prepare<[Buffer, Buffer]>(
      "INSERT OR REPLACE INTO baseline (path, row) VALUES (?, ?)",
    );
    const remove = this.#db.prepare<[Buffer]>("DELETE FROM baseline WHERE path = ?");
    const statement = transact(this.#db, () => {
      // Else an altered row would be signed along with the accepted ones.
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

  /** The statement, once everything about it was verified; else BASELINE_MISSING or BASELINE_UNTRUSTED. */
  trust(): Statement {
    const { statement, anchorIsBehind } = inSnapshot(this.#db, () => this.#judged());
    // The agent stopped between the commit and the writing of the anchor.
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

  /** What the newest "baseline" record says that is still kept. */
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
    const fields = {
      node,
      cluster,
      at,
      reason,
      ...found,
      ...this.#next(),
      policy: { name: policy.name, digest: sha256(policy.text) },
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

  /** The counter goes on from the highest that is known, even when the database was removed or put back. */
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

  /** An anchor of counter 0 goes before the very first commit, so that a missing anchor is always a finding. */
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
