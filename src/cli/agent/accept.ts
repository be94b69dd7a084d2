import { accept } from "../../agent/commands/accept.ts";
import { openNode } from "../../node/node.ts";
import type { Settings } from "../../config/settings.ts";
import { openState } from "../../node/state.ts";
import { compare } from "../../core/change/compare.ts";
import { IntegrityError } from "../../core/error.ts";
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
  const reason = reasonOf(given);
  const all = given["all"] === true;
  const policy = given["policyInForce"] === true;
  if (all ? paths.length > 0 : paths.length === 0 && !policy)
    throw new IntegrityError("USAGE", "accept: expected either paths or --all");
  if (reason === undefined)
    throw new IntegrityError("USAGE", "accept: expected --reason TEXT, found none", {
      hint: "say why this is approved; it goes into the signed record",
    });
  using node = await openNode(settings);
  using state = openState(settings);
  const { statement, looks, programs, mounts } = await accept(node, state, {
    settings,
    paths,
    reason,
    all,
    policy,
  });
  // In the other paths only times moved, which are not compared.
  const accepted = looks.filter((look) => compare(look) !== undefined).map(({ path }) => path);
  const { counter, digest, rows, at } = statement;
  const result = {
    counter,
    digest,
    rows,
    at,
    accepted: accepted.map((path) => showPath(path).text),
    ...(programs.length > 0 && { programs }),
    ...(mounts.length > 0 && { mounts: mounts.map(mountText) }),
  };
  printResult(settings.format, result, [
    ...accepted.map((path) => `accepted ${printable(path)}`),
    ...programs.map(({ exe, sha256 }) => `accepted ${printable(exe)} in static pods, ${sha256}`),
    ...mounts.map((one) => `accepted ${mountText(one)}`),
    `baseline: ${rows} paths, counter ${counter}, ${accepted.length} accepted`,
  ]);
  return exit.fine;
}

/** "mounted /etc/kubernetes (tmpfs)" */
function mountText({ kind, mount }: MountHint): string {
  return `${kind} ${printable(mount.path)} (${printable(mount.type)})`;
}
