import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { readProcess } from "../../attribute/process.ts";
import type { Change, JudgedChange } from "../../core/change/change.ts";
import type { Actor, EngineName, Hint, Step } from "../../core/change/hint.ts";
import { isBelow } from "../../core/path.ts";
import { ruleDefaults } from "../../core/policy/rule.ts";
import type { FileClass, Rule, RuleIndex } from "../../core/policy/rule.ts";
import { compileRules } from "../../core/policy/rules.ts";
import { appendStep } from "../../core/change/wait.ts";

import { launcherFlags } from "./launcher-flags.ts";
import { packagesOf } from "./packages.ts";
import type { Settings } from "../../config/settings.ts";

type PathHint = Extract<Hint, { readonly kind: "path" }>;
type MountHint = Extract<Hint, { readonly kind: "mounted" | "unmounted" }>;

const home = dirname(fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, ""));
/** The built modules, and in a repository the sources: the launcher runs the newer ones. */
const modules = ["dist", "src"].map((name) => join(home, name));

/** The running program, the modules it loads, its interpreter, and every file given to it. */
export function ownFiles(settings: Settings): readonly string[] {
  const given = settings.webhooks.flatMap(({ secret, urlFile, ca }) =>
    [secret, urlFile, ca].filter((file) => file !== undefined),
  );
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
interface OwnProgram {
  /** The file of the interpreter. */
  readonly executable: Actor["executable"];
  /** Directories of the modules that the interpreter may run. */
  readonly modules: readonly string[];
  /** Flags that the interpreter may have. */
  readonly flags: readonly string[];
  /** Whether the environment of a process makes its interpreter load other code. */
  readonly loadsOther: (pid: number) => boolean;
}

export function describeProgram(): OwnProgram {
  const { executable } = readProcess("/proc", process.pid) ?? {};
  // V8 flags do not make it another program.
  return { executable, modules, flags: [...launcherFlags, ...process.execArgv], loadsOther };
}

const loading =
  /^(?:NODE_OPTIONS|NODE_PATH|NODE_REPL_EXTERNAL_MODULE|LD_PRELOAD|LD_AUDIT|LD_LIBRARY_PATH)=./;

/** node(1), ld.so(8). False for a process that has ended. */
function loadsOther(pid: number): boolean {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, "latin1");
    return environment.split("\0").some((one) => loading.test(one));
  } catch {
    return false;
  }
}

/** True for another command of the agent (accept, check): the same interpreter runs only the same modules. */
function isOwnCommand({ pid, executable, cmdline = [] }: Actor, own: OwnProgram): boolean {
  if (executable === undefined || own.executable === undefined) return false;
  if (executable.dev !== own.executable.dev || executable.ino !== own.executable.ino) return false;
  const given = cmdline.slice(1);
  const at = given.findIndex((argument) => !argument.startsWith("-"));
  const isOurs = own.modules.some((directory) => isBelow(given[at] ?? "", directory));
  return (
    isOurs && !own.loadsOther(pid) && given.slice(0, at).every((flag) => own.flags.includes(flag))
  );
}

interface Touched {
  readonly hint: PathHint;
  readonly actor: Actor | undefined;
  readonly steps: readonly Step[];
}

interface SelfGuardOptions {
  readonly stateDir: string;
  /** Files and directories of the agent's program and configuration, as the agent sees them. */
  readonly own: readonly string[];
  /** Whether a rule of the policy watches a path, as the agent sees it. Then that rule decides. */
  readonly isRuled: (path: string) => boolean;
  /** How our own commands are started, which may open the state. */
  readonly ownProgram: OwnProgram;
  readonly ownPid: number;
  readonly report: (change: JudgedChange) => void;
}

/** Milliseconds in which the guard gathers what one process does to one file into one alert. */
const gathering = 100;

/**
 * Watches the agent's own key, database and anchor, and its program and configuration. No rule can watch the state,
 * because the agent writes it all the time: only an engine with pids can distinguish our writes from others.
 */
export class SelfGuard implements Disposable {
  readonly #options: SelfGuardOptions;
  readonly #touched = new Map<string, Touched>();
  /** The paths that an engine must watch for the guard, beside those of the policy. */
  readonly index: RuleIndex;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SelfGuardOptions) {
    this.#options = options;
    this.index = compileRules([
      ownRule(options.own, "immutable"),
      // Volatile, because our own writes would otherwise cost an event each.
      ownRule([options.stateDir], "volatile"),
    ]);
  }

  get directories(): readonly string[] {
    return [this.#options.stateDir];
  }

  /** True: the hint lies in the state directory and goes no further. */
  offer(hint: Hint): boolean {
    if (hint.kind !== "path" && hint.kind !== "tree") return false;
    const { stateDir } = this.#options;
    const isState = hint.path === stateDir || isBelow(hint.path, stateDir);
    if (hint.kind === "path" && this.#isOurs(hint, isState)) this.#note(hint);
    return isState;
  }

  /** Whether a mount at this path, as the agent sees it, would hide the agent's own files. */
  isHiddenBy(path: string): boolean {
    const { own, stateDir } = this.#options;
    const isOver = (one: string): boolean =>
      one === path ||
      isBelow(one, path) ||
      (isBelow(path, one) && !isBelow(path, probeOf(stateDir)));
    return [...own, stateDir].some(isOver);
  }

  /** Reports a mount at this path, as the agent sees it. */
  noteMount(hint: MountHint, path: string): void {
    const { kind, mount, at, engine } = hint;
    if (this.isHiddenBy(path)) this.#options.report(judged({ kind, path, mount }, { at, engine }));
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#report();
  }

  #isOurs({ path, actor }: PathHint, isState: boolean): boolean {
    // Without a pid our own writes look like everyone's.
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
    this.#timer ??= setTimeout(() => this.#report(), gathering);
  }

  #report(): void {
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
const why = "An attacker who alters the agent can hide every other change.";

function ownRule(own: readonly string[], fileClass: FileClass): Rule {
  return {
    ...ruleDefaults,
    id: `${ruleId} ${fileClass}`,
    // A file, or a directory with everything below it. Escapes the characters that globs use.
    paths: own.map((path) => `${path.replaceAll(/[*?[\]{}\\]/g, "[$&]")}/**`),
    class: fileClass,
    severity: "critical",
    why,
    content: "secret",
  };
}
