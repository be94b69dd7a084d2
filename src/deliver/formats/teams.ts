import { textAt } from "../../core/record/fields.ts";
import type { Notice } from "../../core/record/notice.ts";
import { json, refusing } from "../format.ts";
import type { Format, FormatContext } from "../format.ts";
import { parseJson, reason } from "./answer.ts";
import { details, fit, fitBytes, headline } from "./text.ts";

/** learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors: bytes of a message. */
const mostBytes = 28 * 1024;
const mostText = 4000;

/** The address of a workflow of Power Automate that posts Adaptive Cards to a channel of Teams. */
export const teams: Format = {
  // More than four requests a second are throttled, so a storm shares messages.
  maxPerPost: 10,
  isForPeople: true,
  message: (notices, context) => ({
    headers: json,
    body: fitBytes(mostBytes, mostText, (texts) => messageOf(notices, context, texts)),
  }),
  readsBody: true,
  outcome(answer, sent) {
    const outcome = refusing(answer, sent);
    const code = textAt(parseJson(answer), "error", "code") ?? "";
    const why = reason(`status ${answer.status}`, code);
    // A workflow that is switched off answers 400 too, and is for a person to repair.
    if (outcome.kind === "delivered" && isUndelivered(answer.body))
      return { kind: "retry", why: reason(`status ${answer.status}`, answer.body) };
    if (outcome.kind === "refused")
      return { kind: /^Workflow|Authoriz/.test(code) ? "rejected" : "refused", why };
    return outcome;
  },
};

/** An incoming webhook of a connector answers 200 to what Teams did not take, and says so in words. */
function isUndelivered(body = ""): boolean {
  return body.startsWith("Webhook message delivery failed");
}

function messageOf(notices: readonly Notice[], context: FormatContext, texts: number) {
  const content = {
    $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
    type: "AdaptiveCard",
    version: "1.4",
    msteams: { width: "Full" },
    body: notices.map((notice, index) => containerOf(notice, { ...context, texts, index })),
  };
  const contentType = "application/vnd.microsoft.card.adaptive";
  return { type: "message", attachments: [{ contentType, content }] };
}

const colors = {
  info: "Default",
  low: "Default",
  medium: "Warning",
  high: "Attention",
  critical: "Attention",
} as const;

interface Placed extends FormatContext {
  readonly texts: number;
  readonly index: number;
}

function containerOf(notice: Notice, { link, texts, index }: Placed) {
  const url = link(notice);
  const more = details(notice);
  return {
    type: "Container",
    separator: index > 0,
    items: [
      line(headline(notice), texts, { weight: "Bolder", color: colors[notice.severity] }),
      line(notice.message, texts, {}),
      ...(more === "" ? [] : [line(more, texts, { isSubtle: true, size: "Small" })]),
      ...(url === undefined ? [] : [actionTo(url)]),
    ],
  };
}

/** A run of text, in which Teams reads no markup; a TextBlock would read Markdown. */
function line(text: string, most: number, style: Readonly<Record<string, unknown>>) {
  return { type: "RichTextBlock", inlines: [{ type: "TextRun", text: fit(text, most), ...style }] };
}

function actionTo(url: string) {
  return {
    type: "ActionSet",
    actions: [{ type: "Action.OpenUrl", title: "Show the alert", url }],
  };
}
