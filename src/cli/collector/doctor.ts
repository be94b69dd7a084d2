import { examine } from "../../collector/doctor.ts";
import type { Check } from "../../collector/doctor.ts";
import type { CollectorSettings } from "../../collector/settings.ts";
import { printable } from "../../core/path.ts";
import { exit } from "../fail.ts";
import type { Exit } from "../fail.ts";
import { out } from "../print.ts";

const marks: Readonly<Record<Check["verdict"], string>> = {
  fine: "ok  ",
  warning: "warn",
  failure: "FAIL",
};

/** `doctor`: a line for each part, what to do about it, and a verdict. */
export async function doctor(settings: CollectorSettings): Promise<Exit> {
  const checks = await examine(settings, Date.now());
  for (const { verdict, what, found, hint } of checks) {
    out(`${marks[verdict]}  ${what.padEnd(6)} ${printable(found)}`);
    if (hint !== undefined) out(`      hint: ${printable(hint)}`);
  }
  const failed = checks.filter(({ verdict }) => verdict === "failure");
  if (failed.length > 0) {
    out(`cannot serve: ${failed.map(({ what }) => what).join(", ")}`);
    return exit.incomplete;
  }
  out("can serve: fim-collector serve");
  return exit.fine;
}
