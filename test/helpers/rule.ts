import type { Rule } from "../../src/core/policy/rule.ts";

/** An immutable rule of severity high over everything, with what the test changes of it. */
export function ruleWith(changes: Partial<Rule> = {}): Rule {
  return {
    id: "test/everything",
    paths: ["/**"],
    exclude: [],
    class: "immutable",
    severity: "high",
    why: "It is watched for a test.",
    writers: [],
    containerWriters: false,
    content: "text",
    validators: [],
    cis: [],
    attack: [],
    ...changes,
  };
}
