import fc from "fast-check";
import { toEvent } from "../../src/core/record/alert.ts";
import { toFinding } from "../../src/core/record/finding.ts";
import type { AlarmKind } from "../../src/core/record/finding.ts";
import { readNotice } from "../../src/core/record/notice.ts";
import type { Notice } from "../../src/core/record/notice.ts";
import type { Severity } from "../../src/core/policy/rule.ts";
import type { FormatContext } from "../../src/deliver/format.ts";
import { noSecret } from "../../src/deliver/secret.ts";
import { eventContext, judgedOf, seen } from "./judged.ts";
import { record } from "./queue.ts";

/** A name of a file that is markup, a mention, a link, a control or a new direction of writing somewhere. */
export const hostileNames: readonly string[] = [
  "<!channel>",
  "<https://evil.example|click>",
  "[click](https://evil.example)",
  "*bold* _it_ ~no~ `code`",
  "``` @everyone",
  "a|b=c\\d",
  "line\nCEF:0|Evil|x|1|1|fake|10|",
  "\r\n<34>1 2026-01-01T00:00:00Z evil - - - - fake",
  "\u202egnp.exe\u2066",
  "\u001b[31m\u0000\u0007",
  "&lt;b&gt; &amp; <b>",
  "{{7*7}} ${7*7} %s %n",
  '"},{"injected":true,"x":"',
  "é漢字🎉",
];

/** A new file of this name. */
export function alertOf(name: string, changes: Partial<Parameters<typeof judgedOf>[0]> = {}) {
  const change = { path: `/etc/cron.d/${name}`, kind: "created", after: seen() } as const;
  return noticeOf(record("alert", toEvent(judgedOf({ change, ...changes }), eventContext())));
}

export function noticeOf(bytes: Buffer): Notice {
  const notice = readNotice(bytes);
  if (!notice) throw new Error("expected a record that sinks carry");
  return notice;
}

/** Names that Linux allows: any text without "/" and NUL. */
export const anyName: fc.Arbitrary<string> = fc
  .oneof(fc.string({ unit: "binary" }), fc.constantFrom(...hostileNames))
  .map((name) => name.replaceAll(/[/\0]/g, "_") || "_");

export const plainContext: FormatContext = {
  now: Date.UTC(2026, 10, 27, 8),
  secret: noSecret,
  link: ({ id }) => `https://fim.example/alerts/${id}`,
};

/** An alarm that a collector raised. */
export function alarmOf(kind: AlarmKind, severity: Severity = "critical"): Buffer {
  const alarm = { kind, cluster: "lab", node: "cp-1", severity, reason: `it is ${kind}` };
  const context = { uid: `uid-${kind}`, now: Date.now(), version: "0.1.0", collector: "main" };
  return record("collector", toFinding(alarm, context));
}
