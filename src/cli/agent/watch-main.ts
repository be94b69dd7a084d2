import { requireLimited } from "../../agent/privileges.ts";
import type { Settings } from "../../config/settings.ts";
import type { Policy } from "../../core/policy/rule.ts";
import { IntegrityError } from "../../core/error.ts";
import { fail, failUncaught } from "../fail.ts";
import { takeOver } from "./handover.ts";
import { watch } from "./watch.ts";

/*
 * The second half of `watch`: the first half has read all settings and policies.
 */

failUncaught("fim-agent");

try {
  const given = takeOver() as { readonly settings: Settings; readonly policy: Policy } | undefined;
  if (!given)
    throw new IntegrityError("USAGE", "this program is not for itself", {
      hint: "use: fim-agent watch",
    });
  requireLimited();
  process.exitCode = await watch(given.settings, given.policy);
} catch (error) {
  process.exitCode = fail("fim-agent", error);
}
