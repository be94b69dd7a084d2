import test from "ava";
import fc from "fast-check";
import { slack } from "../../../src/deliver/formats/slack.ts";
import type { Notice } from "../../../src/core/record/notice.ts";
import { alertOf, anyName, hostileNames, noticeOf, plainContext } from "../../helpers/notices.ts";
import { record } from "../../helpers/queue.ts";

interface Text {
  readonly type: "plain_text" | "mrkdwn";
  readonly text: string;
}

interface Block {
  readonly type: "section" | "context";
  readonly text?: Text;
  readonly elements?: readonly Text[];
}

const send = (notices: readonly Notice[], context = plainContext) =>
  JSON.parse(slack.message(notices, context).body.toString()) as {
    readonly text: string;
    readonly blocks: readonly Block[];
  };

const textsOf = (blocks: readonly Block[]): readonly Text[] =>
  blocks.flatMap(({ text, elements }) => [...(text ? [text] : []), ...(elements ?? [])]);

test("an alert is a section with its place and sentence, and a line with rule, technique and link", (t) => {
  const alert = alertOf("x");
  t.deepEqual(send([alert]), {
    text: `CRITICAL lab/cp-1: ${alert.message}`,
    blocks: [
      {
        type: "section",
        text: {
          type: "plain_text",
          emoji: false,
          text: `CRITICAL lab/cp-1\n${alert.message}`,
        },
      },
      {
        type: "context",
        elements: [
          {
            type: "plain_text",
            emoji: false,
            text: "rule kubeadm/static-pods · T1610 Deploy Container (Execution, Defense Evasion)",
          },
          { type: "mrkdwn", text: `<https://fim.example/alerts/${alert.id}|Show the alert>` },
        ],
      },
    ],
  });
});

test("an event of the agent without a page is one section", (t) => {
  const event = noticeOf(record("agent", { event: "degraded", trouble: "engine" }));
  const { blocks } = send([event], { ...plainContext, link: () => undefined });
  t.is(blocks.length, 1);
});

test("several records share one message of at most 50 blocks", (t) => {
  const { text, blocks } = send(Array.from({ length: slack.maxPerPost }, () => alertOf("x")));
  t.true(blocks.length <= 50);
  t.regex(text, / and 9 more$/);
});

function isHarmless(name: string): boolean {
  const { text, blocks } = send([alertOf(name.repeat(60)), alertOf(name)]);
  const links = textsOf(blocks).filter(({ type }) => type === "mrkdwn");
  const plain = textsOf(blocks).filter(({ type }) => type === "plain_text");
  const written = [text, ...plain.map((one) => one.text)];
  return (
    written.every((one) => !/[<>]|&(?!(?:amp|lt|gt);)/.test(one)) &&
    written.every((one) => !/[\u0000-\u0009\u000b-\u001f\u202a-\u202e\u2066-\u2069]/.test(one)) &&
    links.every((one) =>
      /^<https:\/\/fim\.example\/alerts\/[\w-]+\|Show the alert>$/.test(one.text),
    ) &&
    textsOf(blocks).every((one) => one.text.length > 0 && one.text.length <= 3000)
  );
}

test("no name of a file makes markup, a mention or a link, or breaks a limit of Slack", (t) => {
  for (const name of hostileNames) t.true(isHarmless(name), name);
  fc.assert(fc.property(anyName, isHarmless));
});

const outcome = (status: number, retryAfter?: string, body?: string) =>
  slack.outcome?.(
    {
      kind: "status",
      status,
      ...(retryAfter !== undefined && { retryAfter }),
      ...(body !== undefined && { body }),
    },
    { count: 1, now: 0 },
  );

test("Slack's answers: a bad message is refused, a rate limit waits, a lost webhook is tried slowly", (t) => {
  t.is(outcome(200)?.kind, "delivered");
  t.is(outcome(400)?.kind, "refused");
  t.deepEqual(outcome(429, "30"), { kind: "retry", why: "status 429", afterMs: 30_000 });
  t.is(outcome(500)?.kind, "retry");
  for (const status of [403, 404]) t.is(outcome(status)?.kind, "rejected");
  for (const body of ["ok", '{"ok":true}', "null", ""])
    t.is(outcome(200, undefined, body)?.kind, "delivered", body);
  t.deepEqual(outcome(200, undefined, '{"ok":false,"error":"invalid_auth"}'), {
    kind: "rejected",
    why: "status 200, invalid_auth",
  });
});
