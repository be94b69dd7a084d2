import { fieldsOf, textAt } from "../../core/record/fields.ts";
import type { Notice } from "../../core/record/notice.ts";
import { json, refusing } from "../format.ts";
import type { Format, FormatContext } from "../format.ts";
import { parseJson, reason } from "./answer.ts";
import { details, fit, headline } from "./text.ts";

/** docs.slack.dev/reference/block-kit/composition-objects/text-object: characters of one text. */
const mostText = 3000;
const mostFallback = 300;

/** An incoming webhook of Slack (docs.slack.dev/messaging/sending-messages-using-incoming-webhooks). */
export const slack: Format = {
  // One message a second may be sent, so a storm shares messages. A message holds 50 blocks.
  maxPerPost: 10,
  isForPeople: true,
  message(notices, context) {
    const [first] = notices;
    const more = notices.length > 1 ? ` and ${notices.length - 1} more` : "";
    const text = first ? fit(`${lineOf(first)}${more}`, mostFallback, escape) : "";
    const blocks = notices.flatMap((notice) => blocksOf(notice, context));
    return { headers: json, body: Buffer.from(JSON.stringify({ text, blocks })) };
  },
  readsBody: true,
  outcome(answer, sent) {
    const outcome = refusing(answer, sent);
    const body = parseJson(answer);
    // An incoming webhook answers "ok"; Slack's other addresses answer 200 to what they refuse.
    if (outcome.kind !== "delivered" || fieldsOf(body)["ok"] !== false) return outcome;
    return { kind: "rejected", why: reason(`status ${answer.status}`, textAt(body, "error")) };
  },
};

function lineOf(notice: Notice): string {
  return `${headline(notice)}: ${notice.message}`;
}

/** Hostile text is plain text, in which Slack reads no markup. */
function blocksOf(notice: Notice, { link }: FormatContext): readonly unknown[] {
  const section = { type: "section", text: plain(`${headline(notice)}\n${notice.message}`) };
  const url = link(notice);
  const elements = [
    ...(details(notice) === "" ? [] : [plain(details(notice))]),
    ...(url === undefined ? [] : [{ type: "mrkdwn", text: `<${escape(url)}|Show the alert>` }]),
  ];
  return elements.length === 0 ? [section] : [section, { type: "context", elements }];
}

function plain(text: string) {
  return { type: "plain_text", emoji: false, text: fit(text, mostText, escape) };
}

/** docs.slack.dev/messaging/formatting-message-text: the three characters that Slack reads as control. */
function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
