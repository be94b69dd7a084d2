import { accept } from "../../agent/commands/accept.ts";
import { acceptCollectorLog } from "../../agent/commands/accept-log.ts";
import { openNode } from "../../node/node.ts";
import type { Settings } from "../../config/settings.ts";
import { openState } from "../../node/state.ts";
import { compare } from "../../core/change/compare.ts";
import { IntegrityError } from "../../core/error.ts";
import { whatHappened } from "../../core/text/change-text.ts";
import { printable, showPath } from "../../core/path.ts";
import type { MountHint } from "../../reconcile/reconcile.ts";
import { exit } from "../fail.ts";
import type { Exit } from "../fail.ts";
import { pathsOf, reasonOf } from "../arguments.ts";
import { printResult } from "../print.ts";

/** `accept PATH… --reason TEXT` or `accept --all --reason TEXT` */
export async function acceptPaths(
  settings: Settings,
  given: Readonly<Record<string, unknown>>,
): Promise<Exit> {
  const paths = pathsOf(given);
  if (given["collectorLog"] === true) return acceptLog(settings, paths, given);
  const how = optionsOf(paths, given);
  using node = await openNode(settings);
  using state = openState(settings);
  const found = await accept(node, state, { settings, paths, ...how });
  const { statement, looks, programs, mounts, isSigned } = found;
  const accepted = looks.map(({ path }) => path);
  const { counter, digest, rows, at } = statement;
  const result = {
    counter,
    digest,
    rows,
    at,
    ...(how.dryRun && { dryRun: true }),
    accepted: accepted.map((path) => showPath(path).text),
    ...(programs.length > 0 && { programs }),
    ...(mounts.length > 0 && { mounts: mounts.map(mountText) }),
  };
  const verb = how.dryRun ? "would accept" : "accepted";
  printResult(settings.format, result, [
    ...looks.flatMap((look) => compare(look) ?? []).map(whatHappened),
    ...accepted.map((path) => `${verb} ${printable(path)}`),
    ...programs.map(({ exe, sha256 }) => `${verb} ${printable(exe)} in static pods, ${sha256}`),
    ...mounts.map((one) => `${verb} ${mountText(one)}`),
    isSigned || how.dryRun
      ? `baseline: ${rows} paths, counter ${counter}, ${accepted.length} ${how.dryRun ? "would be accepted" : "accepted"}`
      : `baseline: nothing to accept, counter ${counter} stays`,
  ]);
  return exit.fine;
}

/** `accept --collector-log --reason TEXT` */
function acceptLog(
  settings: Settings,
  paths: readonly string[],
  given: Readonly<Record<string, unknown>>,
): Exit {
  const reason = reasonOf(given);
  const others = ["all", "policyInForce", "dryRun", "expect"];
  if (paths.length > 0 || others.some((one) => given[one] !== undefined))
    throw new IntegrityError("USAGE", "accept --collector-log: expected --reason TEXT alone");
  if (reason === undefined) throw withoutReason();
  using state = openState(settings);
  const size = acceptCollectorLog(state, settings, reason);
  printResult(settings.format, { accepted: size !== undefined, size: size ?? 0 }, [
    size === undefined
      ? "collector's log: nothing to accept, this agent knows none"
      : `collector's log: accepted as it is next seen; ${size} records were known before`,
  ]);
  return exit.fine;
}

function withoutReason(): IntegrityError {
  return new IntegrityError("USAGE", "accept: expected --reason TEXT, found none", {
    hint: "say why this is approved; it goes into the signed record",
  });
}

function optionsOf(paths: readonly string[], given: Readonly<Record<string, unknown>>) {
  const reason = reasonOf(given);
  const all = given["all"] === true;
  const policy = given["policyInForce"] === true;
  const dryRun = given["dryRun"] === true;
  const { expect } = given;
  if (all ? paths.length > 0 : paths.length === 0 && !policy)
    throw new IntegrityError("USAGE", "accept: expected either paths or --all");
  if (reason === undefined && !dryRun) throw withoutReason();
  if (expect === undefined) return { reason: reason ?? "", all, policy, dryRun };
  if (typeof expect !== "string" || !/^[0-9a-f]{64}$/.test(expect) || paths.length !== 1)
    throw new IntegrityError(
      "USAGE",
      "accept --expect: one path and its SHA-256 in hex belong together",
    );
  return { reason: reason ?? "", all, policy, dryRun, expect };
}

/** "mounted /etc/kubernetes (tmpfs)" */
function mountText({ kind, mount }: MountHint): string {
  return `${kind} ${printable(mount.path)} (${printable(mount.type)})`;
}
