import test from "ava";
import fc from "fast-check";
import type { StatusAnswer } from "../../../src/core/backoff.ts";
import type { Notice } from "../../../src/core/record/notice.ts";
import { discord } from "../../../src/deliver/formats/discord.ts";
import { fit } from "../../../src/deliver/formats/text.ts";
import { teams } from "../../../src/deliver/formats/teams.ts";
import { alertOf, anyName, hostileNames, noticeOf, plainContext } from "../../helpers/notices.ts";
import { alertRecord, record } from "../../helpers/queue.ts";
import { startService } from "../../helpers/service.ts";
import { deliverAll } from "../../helpers/sink.ts";

const bytesOf = (body: Buffer): number => body.length;
const uids = (count: number) => Array.from({ length: count }, (_, at) => `uid-${at}`);
const sent = { count: 1, now: 0 };
const answered = (status: number, body?: unknown): StatusAnswer => ({
  kind: "status",
  status,
  ...(body !== undefined && { body: JSON.stringify(body) }),
});

/** Every object with this type in a card. */
function partsOf(value: unknown, type: string): readonly Record<string, unknown>[] {
  if (typeof value !== "object" || value === null) return [];
  const own = (value as { type?: unknown }).type === type ? [value as Record<string, unknown>] : [];
  return [...own, ...Object.values(value).flatMap((member) => partsOf(member, type))];
}

const card = (notices: readonly Notice[]): unknown =>
  JSON.parse(teams.message(notices, plainContext).body.toString());

test("Teams gets one Adaptive Card with place, sentence, rule, techniques and link", (t) => {
  const alert = alertOf("x");
  const message = card([alert]) as { type: string; attachments: { contentType: string }[] };
  t.is(message.type, "message");
  t.is(message.attachments[0]?.contentType, "application/vnd.microsoft.card.adaptive");
  t.deepEqual(
    partsOf(message, "TextRun").map(({ text }) => text),
    [
      "CRITICAL lab/cp-1",
      alert.message,
      "rule kubeadm/static-pods · T1610 Deploy Container (Execution, Defense Evasion)",
    ],
  );
  t.deepEqual(
    partsOf(message, "Action.OpenUrl").map(({ url }) => url),
    [`https://fim.example/alerts/${alert.id}`],
  );
});

function isHarmlessInTeams(name: string): boolean {
  const alerts = [...Array(teams.maxPerPost)].map(() => alertOf(name.repeat(200)));
  const { body } = teams.message(alerts, plainContext);
  const message: unknown = JSON.parse(body.toString());
  return (
    bytesOf(body) <= 28 * 1024 &&
    // TextRun is read as it is, while a TextBlock would read Markdown.
    partsOf(message, "TextBlock").length === 0 &&
    partsOf(message, "TextRun").length === 3 * alerts.length &&
    partsOf(message, "Action.OpenUrl").every(({ url }) =>
      /^https:\/\/fim\.example\/alerts\/[\w-]+$/.test(String(url)),
    )
  );
}

test("no name of a file makes markup in Teams or a message above 28 KiB", (t) => {
  for (const name of hostileNames) t.true(isHarmlessInTeams(name), name);
  fc.assert(fc.property(anyName, isHarmlessInTeams), { numRuns: 50 });
});

test("Teams' answers: throttled waits, a bad card is refused, a switched-off workflow loses nothing", (t) => {
  t.is(teams.outcome?.(answered(202), sent).kind, "delivered");
  t.is(teams.outcome?.(answered(429), sent).kind, "retry");
  const words =
    "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429";
  const undelivered = { ...answered(200), body: words };
  t.is(teams.outcome?.(undelivered, sent).kind, "retry");
  t.is(teams.outcome?.(answered(413), sent).kind, "refused");
  const code = (name: string) => teams.outcome?.(answered(400, { error: { code: name } }), sent);
  t.like(code("InvalidRequestContent"), {
    kind: "refused",
    why: "status 400, InvalidRequestContent",
  });
  t.is(code("WorkflowTriggerIsNotEnabled")?.kind, "rejected");
  for (const status of [401, 404]) t.is(teams.outcome?.(answered(status), sent).kind, "rejected");
});

interface Embed {
  readonly title: string;
  readonly description: string;
  readonly url?: string;
}

interface DiscordMessage {
  readonly content?: string;
  readonly allowed_mentions: unknown;
  readonly embeds: readonly Embed[];
}

const post = (notices: readonly Notice[]): DiscordMessage =>
  JSON.parse(discord.message(notices, plainContext).body.toString()) as DiscordMessage;

test("Discord gets an embed in a block of code, with the link as its title's, and no mention", (t) => {
  const alert = alertOf("x");
  t.like(post([alert]), {
    allowed_mentions: { parse: [] },
    embeds: [
      {
        title: "File changed",
        url: `https://fim.example/alerts/${alert.id}`,
        description: `\`\`\`\nCRITICAL lab/cp-1\n${alert.message}\nrule kubeadm/static-pods · T1610 Deploy Container (Execution, Defense Evasion)\n\`\`\``,
      },
    ],
  });
  t.like(post([noticeOf(record("agent", { event: "degraded" }))]), {
    embeds: [{ title: "Agent event" }],
  });
});

/** The limits of discord.com/developers/docs/resources/message. */
function keepsLimits({ content = "", embeds }: DiscordMessage): boolean {
  const lengths = embeds.map(({ title, description }) => title.length + description.length);
  return (
    content.length <= 2000 &&
    embeds.length <= 10 &&
    embeds.every(({ title, description }) => title.length <= 256 && description.length <= 4096) &&
    lengths.reduce((sum, length) => sum + length, 0) <= 6000
  );
}

function isHarmlessInDiscord(name: string): boolean {
  const alerts = [...Array(discord.maxPerPost)].map(() => alertOf(name.repeat(200)));
  const message = post(alerts);
  return (
    keepsLimits(message) &&
    message.embeds.every(({ description }) =>
      // One block of code from the first to the last character, and nothing that ends it before.
      /^```\n[^`]*\n```$/.test(description),
    )
  );
}

test("no name of a file leaves the block of code in Discord or breaks a limit", (t) => {
  for (const name of hostileNames) t.true(isHarmlessInDiscord(name), name);
  fc.assert(fc.property(anyName, isHarmlessInDiscord), { numRuns: 50 });
});

test("Discord's wait is in the answer's text, in seconds with a fraction", async (t) => {
  const messages: DiscordMessage[] = [];
  await using service = await startService(({ body }) => {
    const message = JSON.parse(body) as DiscordMessage;
    if (!keepsLimits(message)) return { status: 400, body: { code: 50_035 } };
    messages.push(message);
    return { status: 204 };
  });
  service.interrupt({ status: 429, body: { retry_after: 0.123, global: false } });
  const { queue } = await deliverAll(
    { format: "discord", url: `${service.url}/api/webhooks/1/token` },
    uids(12).map((uid) => alertRecord(uid)),
  );
  t.is(messages.flatMap(({ embeds }) => embeds).length, 12);
  t.is(messages.length, 3);
  t.is(queue.deferred.length, 1);
  t.like(discord.outcome?.(answered(429, { retry_after: 64.57 }), sent), { afterMs: 64_570 });
  t.is(discord.outcome?.(answered(404), sent).kind, "rejected");
  t.is(discord.outcome?.(answered(400), sent).kind, "refused");
});

const escape = (one: string): string => (one === "&" ? "&amp;" : one);

test("a text is cut between characters, at the limit, and says so", (t) => {
  t.is(fit("abcdef", 6), "abcdef");
  t.is(fit("abcdefg", 6), "abcde…");
  t.is(fit("ab🎉🎉", 5), "ab🎉…");
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 1, max: 20 }), (text, most) => {
      const fitted = fit(text, most, escape);
      return fitted.length <= most && fitted.isWellFormed() && !/&(?!amp;)/.test(fitted);
    }),
  );
});
