import type { Database } from "better-sqlite3";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Current } from "../../src/baseline/current.ts";
import type { JudgedChange } from "../../src/core/change/change.ts";
import type { Look } from "../../src/core/change/compare.ts";
import type { Actor, Step } from "../../src/core/change/hint.ts";
import type { Rule } from "../../src/core/policy/rule.ts";
import { compileRules } from "../../src/core/policy/rules.ts";
import { Observer } from "../../src/observe/observer.ts";
import { walk } from "../../src/observe/walk.ts";
import { isStale, wantOf } from "../../src/reconcile/look.ts";
import type { NodeView } from "../../src/reconcile/look.ts";
import { reconcile } from "../../src/reconcile/reconcile.ts";
import type { Later } from "../../src/reconcile/reconcile.ts";
import type { PathHints } from "../../src/reconcile/hints.ts";
import { transact } from "../../src/sqlite/open.ts";
import { State } from "../helpers/state.ts";
import { makePlace } from "../helpers/tree.ts";
import { ruleWith } from "../helpers/rule.ts";

const base = ruleWith({ id: "t/all", paths: ["/w/**"] });

/** "/w/**" with every class below a directory of its name, and "/w/grave" that is critical. */
const rules: readonly Rule[] = [
  base,
  { ...base, id: "t/written", paths: ["/w/written"], writers: ["/usr/bin/kubeadm"] },
  { ...base, id: "t/grave", paths: ["/w/grave/**"], severity: "critical" },
  { ...base, id: "t/sealed", paths: ["/w/sealed/*.wal"], class: "sealed" },
  {
    ...base,
    id: "t/tmp",
    paths: ["/w/sealed/*.tmp", "/w/volatile/tmp*"],
    class: "volatile",
    severity: "info",
  },
  { ...base, id: "t/volatile", paths: ["/w/volatile/db"], class: "volatile" },
  { ...base, id: "t/log", paths: ["/w/log/**"], class: "append-only" },
  { ...base, id: "t/later", paths: ["/later/deep/file"] },
];

type Hinted = Partial<PathHints> & { readonly path: string };

/** Real files, a real database of what was last seen, and everything between them. */
export interface Bench extends Disposable {
  readonly root: string;
  readonly db: Database;
  readonly current: Current;
  readonly view: NodeView;
  at(path: string): string;
  write(path: string, text: string): void;
  /** Takes everything as it is for what was last seen. */
  learn(): void;
  /** Every path that was looked at by the last `look`, in order. */
  readonly looked: readonly Look[];
  /** Reconciles and stores what was seen. */
  look(
    hints: readonly (string | Hinted)[],
    more?: { readonly offline?: boolean; readonly later?: Later },
  ): Promise<readonly JudgedChange[]>;
}

export const now = Date.UTC(2026, 10, 23, 12);

export function makeBench(): Bench {
  const place = makePlace();
  const state = new State();
  const root = place.at("root");
  mkdirSync(join(root, "w"), { recursive: true });
  const observer = new Observer(root);
  const index = compileRules(rules);
  const current = new Current(state.db);
  const looked: Look[] = [];
  const view: NodeView = {
    index,
    observer: {
      observe: (path, want) => observer.observe(path, want),
      list: (dir) => observer.list(dir)?.entries,
    },
    observeLarge: (path, want) => Promise.resolve(observer.observe(path, want)),
    known: current,
    isApprovedExecutable: () => true,
    walk: function* (dir) {
      for (const found of walk(observer, index, { from: dir }))
        if (found.kind === "path") yield found;
    },
  };
  const commit = (looks: readonly Look[]): void => {
    looked.splice(0, Infinity, ...looks);
    transact(state.db, () => {
      for (const { path, after } of looks.filter(isStale)) {
        if (after) current.put(path, after);
        else current.delete(path);
      }
    });
  };
  return {
    root,
    db: state.db,
    current,
    view,
    looked,
    at: (path) => join(root, path),
    write: (path, text) => {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    },
    learn: () =>
      transact(state.db, () => {
        for (const path of current.paths()) current.delete(path);
        for (const found of walk(observer, index)) {
          if (found.kind !== "path") continue;
          const seen = observer.observe(found.path, wantOf(found.path, found.rule, view));
          if (seen) current.put(found.path, seen);
        }
      }),
    look: async (hints, { offline = false, later } = {}) => {
      const paths = hints.map((one) => hintsOf(typeof one === "string" ? { path: one } : one));
      const parts = { view, commit, now: () => now, ...(later && { later }) };
      return await reconcile({ paths, mounts: [], offline }, parts);
    },
    [Symbol.dispose]: () => {
      observer[Symbol.dispose]();
      state[Symbol.dispose]();
      place[Symbol.dispose]();
    },
  };
}

export function hintsOf(hinted: Hinted): PathHints {
  const steps: readonly Step[] = ["changed"];
  const actors: readonly Actor[] = [];
  return { steps, from: [], actors, lastAt: now - 7, engine: "chokidar", ...hinted };
}

/** "modified /w/a content,mtime" for each change, in order of their paths. */
export function inShort(changes: readonly JudgedChange[]): readonly string[] {
  return changes
    .map(({ change, verdict }) => {
      const fields = "fields" in change ? change.fields.join() : "";
      const from = change.kind === "renamed" ? ` <- ${change.from}` : "";
      const steps = change.kind === "transient" ? change.steps.join() : "";
      const approved = verdict === "approved" ? " (approved)" : "";
      return `${change.kind} ${change.path}${from} ${fields}${steps}`.trimEnd() + approved;
    })
    .toSorted();
}
