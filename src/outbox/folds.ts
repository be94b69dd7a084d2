import type { Database, Statement } from "better-sqlite3";
import { IntegrityError } from "../core/error.ts";
import type { Severity } from "../core/policy/rule.ts";

/** Like changes under one rule, counted instead of reported singly. */
export interface Fold {
  readonly rule: string;
  readonly change: string;
  readonly severity: Severity;
  readonly count: number;
  /** Milliseconds since 1970 of the first and the last change. */
  readonly since: number;
  readonly at: number;
  readonly examples: readonly string[];
  /** One of them, for the report: {"change":{"kind":…}…}. */
  readonly sample: unknown;
}

type FoldName = Pick<Fold, "rule" | "change" | "severity">;

interface FoldRow extends Omit<Fold, "examples" | "sample"> {
  readonly examples: string;
  readonly sample: string;
}

/** Counts that survive a restart. Runs in the caller's transaction. */
export class Folds {
  readonly #get: Statement<[string, string, string], FoldRow>;
  readonly #all: Statement<[], FoldRow>;
  readonly #put: Statement<[FoldRow]>;
  readonly #delete: Statement<[string, string, string]>;

  constructor(db: Database) {
    const one = "rule = ? AND change = ? AND severity = ?";
    this.#get = db.prepare(`SELECT * FROM fold WHERE ${one}`);
    this.#all = db.prepare("SELECT * FROM fold ORDER BY since");
    this.#put = db.prepare(
      `INSERT OR REPLACE INTO fold (rule, change, severity, count, since, at, examples, sample)
       VALUES (@rule, @change, @severity, @count, @since, @at, @examples, @sample)`,
    );
    this.#delete = db.prepare(`DELETE FROM fold WHERE ${one}`);
  }

  get({ rule, change, severity }: FoldName): Fold | undefined {
    const row = this.#get.get(rule, change, severity);
    return row && parse(row);
  }

  put(fold: Fold): void {
    const { examples, sample, ...rest } = fold;
    const row = { examples: JSON.stringify(examples), sample: JSON.stringify(sample) };
    this.#put.run({ ...rest, ...row });
  }

  delete({ rule, change, severity }: FoldName): void {
    this.#delete.run(rule, change, severity);
  }

  /** Oldest first. */
  all(): Fold[] {
    return this.#all.all().map(parse);
  }
}

function parse({ examples, sample, ...rest }: FoldRow): Fold {
  const parsed = { examples: parseJson(examples), sample: parseJson(sample) };
  if (!areTexts(parsed.examples) || !isOfKind(parsed.sample, rest.change))
    throw new IntegrityError(
      "STATE_UNUSABLE",
      `fold of ${rest.change} changes under rule ${JSON.stringify(rest.rule)}: altered or damaged`,
      { hint: "find out who wrote to the database: the agent's own records are in its chain" },
    );
  return { ...rest, examples: parsed.examples, sample: parsed.sample };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function areTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

/** Whether it is a change of this kind, as was stored. */
function isOfKind(sample: unknown, kind: string): boolean {
  return (sample as { change?: { kind?: unknown } } | null | undefined)?.change?.kind === kind;
}
