import type { AlertColumns } from "./store/store.ts";

/** What a template of an address may hold. */
const members = {
  "{rule}": ({ rule }: AlertColumns) => rule,
  "{type}": ({ type }: AlertColumns) => type,
  "{severity}": ({ severity }: AlertColumns) => severity,
} as const;

const placeholder = /\{[^}]*\}?/g;

/** The address that says what to do about an alert. Undefined: the template asks for what the alert does not have. */
export function runbookOf(template: string, alert: AlertColumns): string | undefined {
  const names = (template.match(placeholder) ?? []) as (keyof typeof members)[];
  const values = new Map(names.map((name) => [name as string, members[name](alert)] as const));
  if ([...values.values()].includes(undefined)) return undefined;
  // What a node names can only become one part of the path or of the query.
  return template.replaceAll(placeholder, (name) => encodeURIComponent(values.get(name) ?? ""));
}

/** Why this cannot be a template, or undefined. */
export function runbookProblem(template: string): string | undefined {
  const unknown = template.match(placeholder)?.find((name) => !Object.hasOwn(members, name));
  if (unknown !== undefined)
    return `expected {rule}, {type} or {severity}, found ${JSON.stringify(unknown)}`;
  const sample = template.replaceAll(/[{}]/g, "");
  const isWeb = URL.canParse(sample) && /^https?:$/.test(new URL(sample).protocol);
  // A name that a node gives must not choose the host.
  const hasHost = /^https?:\/\/[^/{}]+\//.test(template);
  return isWeb && hasHost ? undefined : "expected an http or https URL, with its host written out";
}
