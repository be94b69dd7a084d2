import { attackText } from "../../core/record/attack.ts";
import { textAt } from "../../core/record/fields.ts";
import type { Notice } from "../../core/record/notice.ts";

const keep = (character: string): string => character;

/** The text in at most this many UTF-16 units, each character escaped, with "…" where it was cut. */
export function fit(
  text: string,
  most: number,
  escape: (character: string) => string = keep,
): string {
  let fitted = "";
  let short = "";
  for (const character of text) {
    const next = fitted + escape(character);
    if (next.length > most) return `${short}…`;
    fitted = next;
    if (next.length < most) short = next;
  }
  return fitted;
}

/** "CRITICAL prod-eu1/cp-1", without characters that a chat could read as markup. */
export function headline({ severity, cluster, node }: Notice): string {
  return `${severity.toUpperCase()} ${cluster}/${node}`;
}

/** "rule kubeadm/static-pods · T1610 Deploy Container (Execution, Defense Evasion)", or nothing. */
export function details({ rule, attack }: Notice): string {
  return [...(rule === undefined ? [] : [`rule ${rule}`]), ...attack.map(attackText)].join(" · ");
}

/** Why the rule is there, or why the event happened. */
export function reasonOf({ body }: Notice): string | undefined {
  return (
    textAt(body, "policy", "desc") ??
    textAt(body, "finding_info", "title") ??
    textAt(body, "reason")
  );
}

/** The message with texts as long as possible, in at most this many bytes. */
export function fitBytes(most: number, texts: number, make: (texts: number) => unknown): Buffer {
  const body = Buffer.from(JSON.stringify(make(texts)));
  return body.length <= most || texts <= 1 ? body : fitBytes(most, Math.floor(texts / 2), make);
}
