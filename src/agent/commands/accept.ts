import { IntegrityError } from "../../core/error.ts";
import { rowOf } from "../../core/change/observation.ts";
import type { Observation } from "../../core/change/observation.ts";
import { isBelow, printable } from "../../core/path.ts";
import type { Statement } from "../../core/record/statement.ts";
import { HashPool } from "../../observe/hash/pool.ts";
import { isStale, Looks } from "../../reconcile/look.ts";
import type { NodeView } from "../../reconcile/look.ts";
import { compare } from "../../core/change/compare.ts";
import type { Look } from "../../core/change/compare.ts";
import type { Approval } from "../../baseline/baseline.ts";
import { canonicalRules } from "../../core/policy/canonical.ts";
import { signedRules } from "../policy-difference.ts";
import type { ApprovedProgram } from "../../core/record/program.ts";
import { acceptStaticPrograms } from "./static-programs.ts";
import { hashWorkers } from "./capture.ts";
import { requireKnown } from "../../node/node.ts";
import type { Node } from "../../node/node.ts";
import { differing, makeNodeView } from "../../reconcile/full-sweep.ts";
import type { ApprovedMounts } from "../../core/record/mounts.ts";
import {
  mountsSinceApproval,
  presentMounts,
  withPresentMounts,
} from "../../reconcile/approved/mounts.ts";
import type { MountHint } from "../../reconcile/reconcile.ts";
import { recordBaseline } from "./baseline-record.ts";
import type { Settings } from "../../config/settings.ts";
import type { State } from "../../node/state.ts";

interface AcceptOptions {
  readonly settings: Settings;
  /** Empty: every path. */
  readonly paths: readonly string[];
  readonly reason: string;
  /** Approve the policy in force instead of the one that was signed; without paths, only that. */
  readonly policy?: boolean;
  readonly all?: boolean;
  /** Shows what would be approved and signs nothing. */
  readonly dryRun?: boolean;
  /** SHA-256 in hex: the content that the only path must have. */
  readonly expect?: string;
}

interface Accepted {
  /** Of the last signature: this one's, or the former where nothing was to be approved. */
  readonly statement: Statement;
  readonly isSigned: boolean;
  /** Paths that become approved and were not before. */
  readonly looks: readonly Look[];
  /** Programs of static pods that become approved. */
  readonly programs: readonly ApprovedProgram[];
  /** Mounts and unmounts that become approved. */
  readonly mounts: readonly MountHint[];
}

/** Puts the present state of some paths, and of everything below them, into the baseline, and signs it again. */
export async function accept(node: Node, state: State, options: AcceptOptions): Promise<Accepted> {
  const former = state.baseline.trust();
  const { programs, news, named } = await acceptStaticPrograms(node, {
    before: former.programs ?? [],
    paths: options.paths,
    all: options.all === true,
  });
  const onNode = options.paths.filter((path) => !named.includes(path));
  requireKnown(node, onNode, state.baseline.rows);
  const looks = await lookAt(node, state, options);
  const changed = looks.all().filter(isStale);
  const policy = approvedPolicy(node, state, { former, isNew: options.policy === true });
  const isEvery = options.all === true;
  const isAccepted = (path: string): boolean =>
    isEvery || onNode.some((one) => one === path || isBelow(path, one));
  const since = mountsSinceApproval(former.mounts, node);
  const mounts = withPresentMounts(
    { approved: former.mounts, present: presentMounts(node) },
    { isEvery, isAccepted },
  );
  requireExpected(options, (path) => looks.get(path)?.after ?? state.baseline.rows.get(path));
  const accepted = {
    looks: changed.filter(isNews),
    programs: news,
    mounts: since.filter(({ mount }) => isAccepted(mount.path)),
  };
  const isNewPolicy = options.policy === true && node.policy.digest !== former.policy.digest;
  const isNothing = Object.values(accepted).every((list) => list.length === 0) && !isNewPolicy;
  if (isNothing || options.dryRun === true)
    return { ...accepted, statement: former, isSigned: false };
  const statement = sign(state, {
    ...options,
    changed,
    policy,
    programs,
    ...(mounts && { mounts }),
  });
  return { ...accepted, statement, isSigned: true };
}

/** Looks at every path that differs from its row in the baseline. */
async function lookAt(
  node: Node,
  { baseline: { rows } }: State,
  { all, paths: given }: AcceptOptions,
): Promise<Looks> {
  using pool = new HashPool({ root: node.root, workers: hashWorkers });
  const known: NodeView["known"] = {
    get: (path) => rows.get(path),
    below: (dir) => rows.below(dir),
    findByInode: () => [],
  };
  const looks = new Looks(makeNodeView(node, { known, pool }));
  for (const from of all === true ? [undefined] : given) {
    const run = { node, pool, known, ...(from !== undefined && { from }) };
    const { paths, unseen } = await differing(run, rows);
    if (unseen.length > 0) throw unacceptable(unseen);
    for (const path of paths) await looks.at(path);
  }
  return looks;
}

/** Else only times moved, which are not compared. */
function isNews(look: Look): boolean {
  return compare(look) !== undefined || look.before?.unreadable !== look.after?.unreadable;
}

/** Guards against a change between the look of the person who accepts and this command's own. */
function requireExpected(
  { expect, paths }: AcceptOptions,
  seenAt: (path: string) => Observation | undefined,
): void {
  if (expect === undefined) return;
  const [path = ""] = paths;
  const found = seenAt(path)?.sha256;
  if (found === expect) return;
  throw new IntegrityError(
    "USAGE",
    `accept ${printable(path)}: its content has SHA-256 ${found ?? "none"}, expected ${expect}`,
    { hint: "nothing was approved; look at the file again" },
  );
}

type PolicyText = Approval["policy"];

/** The signed policy stays, unless the person who accepts approves the one in force. */
function approvedPolicy(
  node: Node,
  state: State,
  { former, isNew }: { readonly former: Statement; readonly isNew: boolean },
): PolicyText {
  const signed = signedRules(state, former);
  return isNew || !signed
    ? { name: node.policy.name, text: canonicalRules(node.policy.rules) }
    : { name: former.policy.name, text: canonicalRules(signed) };
}

interface Signing extends Omit<AcceptOptions, "policy"> {
  readonly changed: readonly Look[];
  readonly programs: readonly ApprovedProgram[];
  readonly policy: PolicyText;
  readonly mounts?: ApprovedMounts;
}

function sign(state: State, signing: Signing): Statement {
  const { settings, reason, changed, policy, programs, mounts } = signing;
  const acceptances = changed.map(({ path, after }) => ({
    path,
    ...(after && { row: rowOf(after) }),
  }));
  return state.baseline.accept(acceptances, {
    node: settings.node,
    cluster: settings.cluster,
    policy,
    at: new Date().toISOString(),
    reason,
    programs,
    ...(mounts && { mounts }),
    also: (statement) => {
      for (const { path, after } of changed) {
        if (after) state.current.put(path, after);
        else state.current.delete(path);
      }
      const paths = changed.map(({ path }) => path);
      recordBaseline(state, { statement, what: "accepted", paths });
    },
  });
}

function unacceptable(unseen: readonly { path: string; errno: string }[]): IntegrityError {
  const list = unseen.map(({ path, errno }) => `\n  ${printable(path)}: ${errno}`).join("");
  return new IntegrityError("SYSCALL", `accept: what cannot be read cannot be approved:${list}`, {
    hint: "run as root, or leave these paths out",
  });
}
