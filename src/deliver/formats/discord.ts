import type { Notice } from "../../core/record/notice.ts";
import { isoTime } from "../../core/text/change-json.ts";
import { numberAt } from "../../core/record/fields.ts";
import { json, refusing } from "../format.ts";
import type { Format, FormatContext } from "../format.ts";
import { parseJson } from "./answer.ts";
import { details, fit, headline } from "./text.ts";

/** discord.com/developers/docs/resources/message: characters of all embeds of a message, less titles and marks. */
const mostTogether = 5500;
const mostText = 1900;

/** A webhook of a Discord channel (discord.com/developers/docs/resources/webhook#execute-webhook). */
export const discord: Format = {
  maxPerPost: 5,
  isForPeople: true,
  readsBody: true,
  message(notices, context) {
    const most = Math.min(mostText, Math.floor(mostTogether / notices.length));
    const embeds = notices.map((notice) => embedOf(notice, context, most));
    const message = { username: "fim-agent", allowed_mentions: { parse: [] }, embeds };
    return { headers: json, body: Buffer.from(JSON.stringify(message)) };
  },
  outcome(answer, sent) {
    const outcome = refusing(answer, sent);
    // Seconds, with a fraction, in the answer's body.
    const seconds = answer.status === 429 ? numberAt(parseJson(answer), "retry_after") : undefined;
    if (outcome.kind !== "retry" || seconds === undefined || seconds < 0) return outcome;
    return { ...outcome, afterMs: Math.ceil(seconds * 1000) };
  },
};

const colors = {
  info: 0x5b_6b_7f,
  low: 0x3b_82_f6,
  medium: 0xea_b3_08,
  high: 0xf9_73_16,
  critical: 0xdc_26_26,
} as const;

const titles = { change: "File changed", alarm: "Alarm", event: "Agent event" } as const;

function embedOf(notice: Notice, { link }: FormatContext, most: number) {
  const url = link(notice);
  const text = [headline(notice), notice.message, details(notice)].filter((line) => line !== "");
  return {
    title: titles[notice.kind],
    ...(url !== undefined && { url }),
    description: `\`\`\`\n${fit(text.join("\n"), most, tame)}\n\`\`\``,
    color: colors[notice.severity],
    timestamp: isoTime(notice.time),
  };
}

/** In a block of code Discord reads nothing but its end. */
function tame(character: string): string {
  return character === "`" ? "ˋ" : character;
}
