import type { Notice } from "../core/record/notice.ts";

/** What a template of an address may hold. */
const members = {
  "{uid}": ({ id }: Notice) => id,
  "{node}": ({ node }: Notice) => node,
  "{cluster}": ({ cluster }: Notice) => cluster,
} as const;

/** The address of a record's page at the collector. */
export function linkTo(notice: Notice, template: string | undefined): string | undefined {
  if (template === undefined) return undefined;
  const filled = template.replaceAll(/\{(?:uid|node|cluster)\}/g, (name) =>
    encodeURIComponent(members[name as keyof typeof members](notice)),
  );
  // The one character that ends an address in Slack's text and that a URL may hold.
  return new URL(filled).href.replaceAll("|", "%7C");
}

/** Why this cannot be a template, or undefined. */
export function linkProblem(template: string): string | undefined {
  const [unknown] =
    template.match(/\{[^}]*\}?/g)?.filter((name) => !Object.hasOwn(members, name)) ?? [];
  if (unknown !== undefined)
    return `expected {uid}, {node} or {cluster}, found ${JSON.stringify(unknown)}`;
  const sample = template.replaceAll(/[{}]/g, "");
  const isWeb = URL.canParse(sample) && /^https?:$/.test(new URL(sample).protocol);
  return isWeb ? undefined : "expected an http or https URL";
}
