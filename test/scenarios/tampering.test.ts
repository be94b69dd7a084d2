import test from "ava";
import type { ExecutionContext } from "ava";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Field } from "../../src/core/change/change.ts";
import type { EngineName } from "../../src/core/change/hint.ts";
import { runAgent, startWatch } from "../helpers/agent.ts";
import type { Watching } from "../helpers/agent.ts";
import { startReceiver } from "../helpers/receiver.ts";
import type { Receiver } from "../helpers/receiver.ts";
import { makePlace } from "../helpers/tree.ts";
import { cases } from "./cases.ts";
import type { Case } from "./cases.ts";
import { makePlane, marker, planeMissing } from "./plane.ts";
import type { Plane } from "./plane.ts";
import { contradictions, sideBySide } from "./reported.ts";
import type { Shown } from "./reported.ts";

/** One agent, one node and one receiver for all the cases: each begins where the one before it left the node. */
interface Scene {
  readonly engine: EngineName;
  readonly plane: Plane;
  readonly receiver: Receiver;
  readonly watching: Watching;
  /** The number of the first alert of the next case. */
  next: number;
}

/** Milliseconds: a quick sweep each second, a slow machine, and the delivery. */
const deadline = 30_000;

const fanotifyFault = await engineFault("fanotify");
playAll("chokidar", planeMissing);
playAll("fanotify", planeMissing ?? fanotifyFault);

/** The changes that `watch` reports with this engine, one case after the other. */
function playAll(engine: "chokidar" | "fanotify", fault: string | undefined): void {
  if (fault !== undefined) {
    test.skip(`watch with ${engine} reports every kind of tampering (${fault})`, (t) => t.fail());
    return;
  }
  const plane = makePlane();
  let scene: Scene | undefined;
  const now = async (): Promise<Scene> => (scene ??= await begin(engine, plane));
  test.after.always(async () => {
    await scene?.watching.stop();
    await scene?.receiver.stop();
    plane[Symbol.dispose]();
  });
  for (const one of cases) {
    const title = `watch with ${engine} reports ${one.title}`;
    test.serial(title, async (t) => await play(t, one, await now()));
  }
  concludeAll(engine, now);
}

/** Why this engine cannot run here, in the agent's own words. */
async function engineFault(engine: string): Promise<string | undefined> {
  const place = makePlace();
  const args = ["doctor", "--policy", "linux", "--state", place.at("state"), "--format", "json"];
  const { stdout } = await runAgent(args);
  place[Symbol.dispose]();
  const { findings } = JSON.parse(stdout) as { findings: readonly Finding[] };
  const found = findings.find(({ what }) => what === `engine ${engine}`);
  return found?.ok === true ? undefined : (found?.detail ?? "doctor does not know it");
}

interface Finding {
  readonly what: string;
  readonly ok: boolean;
  readonly detail: string;
}

async function begin(engine: "chokidar" | "fanotify", plane: Plane): Promise<Scene> {
  const { code, stderr } = await plane.run("baseline");
  if (code !== 0) throw new Error(`baseline ended with ${code}: ${stderr}`);
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const seed = privateKey.export({ format: "der", type: "pkcs8" }).subarray(-32);
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  const secret = `whsec_${randomBytes(32).toString("base64")}`;
  const secretFile = join(plane.outside("webhook.key"));
  const keys = `${secret}\nwhsk_${Buffer.concat([seed, raw]).toString("base64")}\n`;
  writeFileSync(secretFile, keys, { mode: 0o600 });
  const receiver = await startReceiver({
    secrets: [secret],
    publicKeys: [`whpk_${raw.toString("base64")}`],
  });
  const watching = await startWatch({
    root: plane.root,
    state: plane.state,
    policy: "kubeadm",
    engine,
    config: {
      webhooks: [{ url: receiver.url, secret: secretFile, minSeverity: "info" }],
      watch: { quickSweepEvery: "1s" },
    },
  });
  return { engine, plane, receiver, watching, next: 0 };
}

type Alert = Receiver["requests"][number];

function shownBy({ data }: Alert): Shown {
  return (data["unmapped"] as { readonly fim: Shown }).fim;
}

/** Of the node: the agent watches its own program too, on which another process may be at work while this runs. */
function alertsOf(receiver: Receiver): readonly Alert[] {
  const alerts = receiver.accepted().filter(({ type }) => type.startsWith("fim.alert."));
  return alerts.filter((alert) => !shownBy(alert).path.startsWith(`${repository}/`));
}

const repository = join(import.meta.dirname, "../..");

interface Window {
  /** The number of the first alert. */
  readonly from: number;
  /** Alerts that are waited for before the marker is set. */
  readonly least: number;
  readonly by: Parameters<Plane["mark"]>[0];
}

/** The alerts up to the marker's, once that many have come. */
async function alertsUntilMarked(
  { plane, receiver }: Scene,
  { from, least, by }: Window,
): Promise<{ readonly alerts: readonly Alert[]; readonly next: number }> {
  const enough = (): boolean => alertsOf(receiver).length - from >= least;
  // What does not come is shown by the comparison, with all that did come.
  await receiver.until(enough, deadline).catch(() => undefined);
  const unmarked = alertsOf(receiver).length;
  plane.mark(by);
  const isMarker = (alert: Alert): boolean => shownBy(alert).path === marker;
  await receiver.until(() => alertsOf(receiver).slice(unmarked).some(isMarker), deadline);
  const all = alertsOf(receiver);
  const end = all.findIndex((alert, at) => at >= unmarked && isMarker(alert));
  return { alerts: all.slice(from, end), next: end + 1 };
}

async function play(t: ExecutionContext, one: Case, now: Scene): Promise<void> {
  const before = now.plane.facts();
  const undo = actHeld(one, now);
  const truth = { before, after: now.plane.facts() };
  const acted = await alertsUntilMarked(now, {
    from: now.next,
    least: one.reported.length,
    by: "other name",
  });
  undo();
  const back = { before: truth.after, after: now.plane.facts() };
  const undone = await alertsUntilMarked(now, {
    from: acted.next,
    least: (one.undone ?? one.reported).length,
    by: "own name",
  });
  now.next = undone.next;
  const shown = acted.alerts.map(shownBy);
  const sides = sideBySide(shown, one.reported, true);
  t.deepEqual(sides.shown, sides.reported);
  t.deepEqual(contradictions(shown, truth), []);
  const faults = [...acted.alerts, ...undone.alerts].flatMap((alert) => eventFaults(alert, now));
  t.deepEqual(faults, []);
  const shownBack = undone.alerts.map(shownBy);
  if (one.undone) {
    t.deepEqual(contradictions(shownBack, back), [], "when it was undone");
    const backSides = sideBySide(shownBack, one.undone, true);
    t.deepEqual(backSides.shown, backSides.reported, "when it was undone");
  } else {
    const paths = new Set(one.reported.flatMap(({ path, from }) => [path, from]));
    const strangers = shownBack.filter(({ path }) => !paths.has(path));
    t.deepEqual(strangers, [], "when it was undone");
  }
}

/**
 * A replacement takes several steps. So that a busy machine cannot put a second between them, the agent gets no
 * time until they are done: then it has to see one change in them.
 */
function actHeld(one: Case, { plane, watching }: Scene): ReturnType<Case["act"]> {
  const isReplacement = one.reported.some(({ fields = [] }) =>
    fields.some((field) => field === "inode" || field === "type"),
  );
  if (!isReplacement) return one.act(plane);
  process.kill(watching.pid, "SIGSTOP");
  try {
    return one.act(plane);
  } finally {
    process.kill(watching.pid, "SIGCONT");
  }
}

const severities = ["info", "low", "medium", "high", "critical"];
const ofContent = new Set<Field>(["content", "type", "target"]);
const ofAccess = new Set<Field>(["mode", "owner", "group", "acl", "capabilities", "selinux"]);

function activityOf({ change, fields = [] }: Shown): number {
  const byKind: Readonly<Record<string, number>> = { created: 1, deleted: 4, renamed: 5 };
  const grave = fields.some((field) => ofContent.has(field)) ? 3 : undefined;
  return byKind[change] ?? grave ?? (fields.some((field) => ofAccess.has(field)) ? 7 : 6);
}

/** Where an event of an unexpected change is not as the contract has it. */
function eventFaults({ id, type, data }: Alert, { engine }: Scene): readonly string[] {
  const shown = shownBy({ data } as Alert);
  const metadata = data["metadata"] as Readonly<Record<string, unknown>>;
  type Plain = string | number | boolean | undefined;
  const due: readonly (readonly [what: string, found: unknown, expected: Plain])[] = [
    ["type", type, `fim.alert.${shown.change}`],
    ["class_uid", data["class_uid"], 1001],
    ["activity_id", data["activity_id"], activityOf(shown)],
    ["severity_id", data["severity_id"], severities.indexOf(shown.severity) + 1],
    ["disposition_id", data["disposition_id"], 19],
    ["is_alert", data["is_alert"], true],
    ["actor is unknown", shown.actor === undefined, isActorUnknown(data)],
    ["actor is known", shown.actor !== undefined && shown.engine !== "fanotify", false],
    ["metadata.uid", metadata["uid"], id],
    ["metadata.event_code", metadata["event_code"], shown.rule],
    ["engine", [engine, "sweep"].includes(shown.engine ?? ""), true],
    ["offline", shown.offline, undefined],
  ];
  return due
    .filter(([, found, expected]) => found !== expected)
    .map(
      ([what, found, expected]) =>
        `${shown.path}: ${what} is ${JSON.stringify(found)}, expected ${expected}`,
    );
}

/** What holds of the run as a whole. */
function concludeAll(engine: string, now: () => Promise<Scene>): void {
  test.serial(
    `every request with ${engine} was well signed, in the order of the chain`,
    async (t) => {
      const { receiver } = await now();
      t.deepEqual(
        receiver.requests.filter(({ fault }) => fault !== undefined),
        [],
      );
      const numbers = alertsOf(receiver).map(
        ({ data }) => (data["metadata"] as { readonly sequence: number }).sequence,
      );
      t.true(numbers.length > cases.length * 3);
      t.deepEqual(
        numbers,
        numbers.toSorted((a, b) => a - b),
      );
      t.is(new Set(numbers).size, numbers.length);
    },
  );

  test.serial(`no path reported with ${engine} carries the prefix of the root`, async (t) => {
    const { plane, receiver } = await now();
    const paths = alertsOf(receiver).flatMap(pathsOf);
    t.deepEqual(
      paths.filter((path) => path.includes(plane.root)),
      [],
    );
    t.true(paths.length > cases.length);
  });

  test.serial(
    `the chain of the run with ${engine} verifies once the agent has stopped`,
    async (t) => {
      const { plane, receiver, watching } = await now();
      t.is(await watching.stop(), 0);
      const { code, stdout } = await plane.run("verify", "--format", "json");
      t.is(code, 0);
      const { ok, chain } = JSON.parse(stdout) as { ok: boolean; chain: { records: number } };
      t.true(ok);
      t.true(chain.records >= alertsOf(receiver).length);
    },
  );
}

/** Every path that an alert names, but for what the actor's command line said. */
function pathsOf(alert: Alert): readonly string[] {
  const { path, from, via } = shownBy(alert);
  const files = ["file", "file_result"].flatMap((name) => {
    const file = alert.data[name] as { path?: string; parent_folder?: string } | undefined;
    return [file?.path, file?.parent_folder];
  });
  return [path, from, via, ...files].filter((one) => one !== undefined);
}

function isActorUnknown(data: Alert["data"]): boolean {
  return (data["actor"] as { readonly app_name?: unknown }).app_name === "Unknown";
}
