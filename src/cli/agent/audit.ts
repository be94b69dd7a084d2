import { namesOf } from "../../node/host.ts";
import { openNode } from "../../node/node.ts";
import type { Settings } from "../../config/settings.ts";
import type { AuditResult } from "../../core/policy/audit.ts";
import { audit as auditPath } from "../../core/policy/audit.ts";
import { printable, showPath } from "../../core/path.ts";
import { walk } from "../../observe/walk.ts";
import { exit } from "../fail.ts";
import type { Exit } from "../fail.ts";
import { out, say } from "../print.ts";
import { table } from "../table.ts";
import { warnUnseen } from "../incomplete.ts";

/** `audit` */
export async function audit(settings: Settings): Promise<Exit> {
  using node = await openNode(settings);
  const names = namesOf(node.root);
  const results: AuditResult[] = [];
  const unseen: { path: string; errno: string }[] = [];
  for (const found of walk(node.observer, node.index)) {
    if (found.kind === "unlisted") {
      unseen.push(found);
      continue;
    }
    const seen = node.observer.observe(found.path, { hash: false });
    const match = node.index.find(found.path);
    if (seen && match) results.push(...auditPath(found.path, seen, { match, names }));
  }
  const failed = results.filter(({ passed }) => !passed);
  print(settings, results, failed);
  say(`${results.length - failed.length} passed, ${failed.length} failed`);
  const incomplete = warnUnseen(unseen);
  if (failed.length > 0) return exit.drift;
  return incomplete ? exit.incomplete : exit.fine;
}

function print(
  settings: Settings,
  results: readonly AuditResult[],
  failed: readonly AuditResult[],
): void {
  const objects = results.map((one) => ({ ...one, path: showPath(one.path).text }));
  if (settings.format === "ndjson") for (const one of objects) out(JSON.stringify(one));
  else if (settings.format === "json") out(JSON.stringify(objects, undefined, 2));
  else if (failed.length > 0)
    out(
      table(
        failed.map(({ path, check, found, expected, rule, cis, fix }) => [
          printable(path),
          check,
          `${found}, expected ${expected}`,
          [rule, ...cis.map((id) => `CIS ${id}`)].join(" "),
          `fix: ${fix ?? ""}`,
        ]),
      ),
    );
}
