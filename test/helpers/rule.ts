import { ruleDefaults } from "../../src/core/policy/rule.ts";
import type { Rule } from "../../src/core/policy/rule.ts";

/** An immutable rule of severity high over everything, with what the test changes of it. */
export function ruleWith(changes: Partial<Rule> = {}): Rule {
  return {
    ...ruleDefaults,
    id: "test/everything",
    paths: ["/**"],
    class: "immutable",
    severity: "high",
    why: "It is watched for a test.",
    ...changes,
  };
}
