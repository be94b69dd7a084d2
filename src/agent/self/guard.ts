import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { readProcess } from "../../attribute/process.ts";
import type { Change, JudgedChange } from "../../core/change/change.ts";
import type { Actor, EngineName, Hint, Step } from "../../core/change/hint.ts";
import { isBelow } from "../../core/path.ts";
import type { FileClass, Rule, RuleIndex } from "../../core/policy/rule.ts";
import { compileRules } from "../../core/policy/rules.ts";
import { appendStep } from "../../core/change/wait.ts";

import { packagesOf } from "./packages.ts";
import type { Settings } from "../../config/settings.ts";

type PathHint = Extract<Hint, { readonly kind: "path" }>;
type MountHint = Extract<Hint, { readonly kind: "mounted" | "unmounted" }>;

const home = dirname(fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, ""));
/** What runs is built, or in a repository its sources: the launcher takes whichever is newer. */
const modules = ["dist", "src"].map((name) => join(home, name));
/** What bin/launch.sh tells the interpreter; nothing of it makes the program another. */
export const launcherFlags: readonly string[] = [
  "--max-semi-space-size=1",
  "--initial-old-space-size=8",
  "--optimize-for-size",
  "--no-sparkplug",
  "--no-maglev",
  "--disable-warning=ExperimentalWarning",
];

/** The program that runs, what it loads, its interpreter, and every file that was given to it. */
export function ownFiles(settings: Settings): readonly string[] {
  const given = settings.webhooks.flatMap(({ secret, ca }) => [secret, ...(ca ? [ca] : [])]);
  return [
    ...modules,
    join(home, "bin"),
    join(home, "baselines"),
    join(home, "package.json"),
    ...packagesOf(home),
    process.execPath,
    ...(settings.config === undefined ? [] : [settings.config]),
    ...settings.policy.filter((name) => name.startsWith("/")),
    ...given,
  ];
}

/** How a process of ours is started. */
export interface OwnProgram {
  /** Of the interpreter, the file itself. */
  readonly executable: Actor["executable"];
  /** Directories in which the modules are that it may run. */
  readonly modules: readonly string[];
  /** What the interpreter may be told beside that. */
  readonly flags: readonly string[];
}

export function describeProgram(): OwnProgram {
  const { executable } = readProcess("/proc", process.pid) ?? {};
  return { executable, modules, flags: [...launcherFlags, ...process.execArgv] };
}

/** Another command of the agent (accept, check): the same file interprets nothing but the same modules. */
function isOwnCommand({ executable, cmdline = [] }: Actor, own: OwnProgram): boolean {
  if (executable === undefined || own.executable === undefined) return false;
  if (executable.dev !== own.executable.dev || executable.ino !== own.executable.ino) return false;
  const given = cmdline.slice(1);
  const at = given.findIndex((argument) => !argument.startsWith("-"));
  const isOurs = own.modules.some((directory) => isBelow(given[at] ?? "", directory));
  return isOurs && given.slice(0, at).every((flag) => own.flags.includes(flag));
}

interface Touched {
  readonly hint: PathHint;
  readonly actor: Actor | undefined;
  readonly steps: readonly Step[];
}

export interface SelfGuardOptions {
  readonly stateDir: string;
  /** Files and directories that make up the agent's program and configuration, as seen from here. */
  readonly own: readonly string[];
  /** Whether a rule watches a path, as seen from here: then that rule speaks. */
  readonly isRuled: (path: string) => boolean;
  /** Its other commands may open the state. */
  readonly ownProgram: OwnProgram;
  readonly ownPid: number;
  readonly report: (change: JudgedChange) => void;
}

/** Milliseconds in which what one process does to one file is told as one. */
const gathering = 100;

/**
 * Watches the agent's own key, database and anchor, which no rule can: they change all the time, by us. Only an engine
 * that names processes can tell us from others. And its program and configuration, which nobody changes unannounced.
 */
export class SelfGuard implements Disposable {
  readonly #options: SelfGuardOptions;
  readonly #touched = new Map<string, Touched>();
  /** What an engine must watch for this, beside the rules. */
  readonly index: RuleIndex;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SelfGuardOptions) {
    this.#options = options;
    this.index = compileRules([
      ownRule(options.own, "immutable"),
      // By us all the time: an event for each of our writes would be for nothing.
      ownRule([options.stateDir], "volatile"),
    ]);
  }

  get directories(): readonly string[] {
    return [this.#options.stateDir];
  }

  /** True: the hint concerns the state directory, as seen from here, and goes no further. */
  offer(hint: Hint): boolean {
    if (hint.kind !== "path" && hint.kind !== "tree") return false;
    const { stateDir } = this.#options;
    const isState = hint.path === stateDir || isBelow(hint.path, stateDir);
    if (hint.kind === "path" && this.#isOurs(hint, isState)) this.#note(hint);
    return isState;
  }

  /** Whether a mount at this path, as seen from here, would lay something over what is the agent's own. */
  isHiddenBy(path: string): boolean {
    const { own, stateDir } = this.#options;
    const isOver = (one: string): boolean =>
      one === path ||
      isBelow(one, path) ||
      (isBelow(path, one) && !isBelow(path, probeOf(stateDir)));
    return [...own, stateDir].some(isOver);
  }

  /** Tells of a mount, at this path as seen from here. */
  noteMount(hint: MountHint, path: string): void {
    const { kind, mount, at, engine } = hint;
    if (this.isHiddenBy(path)) this.#options.report(judged({ kind, path, mount }, { at, engine }));
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#tell();
  }

  #isOurs({ path, actor }: PathHint, isState: boolean): boolean {
    // Who it was decides: an engine that names nobody tells of our own writes too.
    if (isState) return actor !== undefined;
    return this.index.find(path) !== undefined && !this.#options.isRuled(path);
  }

  #note(hint: PathHint): void {
    const { ownPid, ownProgram, stateDir } = this.#options;
    const { actor } = hint;
    if (actor?.pid === ownPid) return;
    if (actor && isBelow(hint.path, stateDir) && isOwnCommand(actor, ownProgram)) return;
    if (isBelow(hint.path, probeOf(stateDir))) return;
    const key = `${actor?.pid ?? ""} ${hint.path}`;
    const known = this.#touched.get(key);
    const steps = appendStep(known?.steps ?? [], hint.step);
    this.#touched.set(key, { hint: known?.hint ?? hint, actor, steps });
    this.#timer ??= setTimeout(() => this.#tell(), gathering);
  }

  #tell(): void {
    this.#timer = undefined;
    const all = [...this.#touched.values()];
    this.#touched.clear();
    for (const { hint, actor, steps } of all)
      this.#options.report(
        judged({ kind: "transient", path: hint.path, steps }, { ...hint, actor }),
      );
  }
}

/** Where engines prove themselves. */
function probeOf(stateDir: string): string {
  return join(stateDir, "probe");
}

interface Origin {
  readonly at: number;
  readonly engine: EngineName;
  readonly actor?: Actor | undefined;
}

function judged(change: Change, { at, engine, actor }: Origin): JudgedChange {
  return {
    change,
    rule: ruleId,
    class: "immutable",
    severity: "critical",
    verdict: "unexpected",
    meaning: [meanings[change.kind] ?? touched],
    attack: ["T1562.001"],
    why,
    at,
    engine,
    ...(actor && { actor }),
  };
}

const touched =
  "the agent's own program, configuration, key or database was touched by another process";
const meanings: Partial<Record<Change["kind"], string>> = {
  mounted: "something was mounted over the agent's own program, configuration, key or database",
  unmounted: "what hid the agent's own program, configuration, key or database was unmounted",
};

const ruleId = "agent/self";
const why = "Whoever alters the agent can hide every other change.";

function ownRule(own: readonly string[], fileClass: FileClass): Rule {
  return {
    id: `${ruleId} ${fileClass}`,
    // Of a file it is the file, of a directory everything in it. Characters that globs use are taken as they are.
    paths: own.map((path) => `${path.replaceAll(/[*?[\]{}\\]/g, "[$&]")}/**`),
    exclude: [],
    class: fileClass,
    severity: "critical",
    why,
    writers: [],
    containerWriters: false,
    content: "secret",
    validators: [],
    cis: [],
    attack: [],
  };
}
