import test from "ava";
import fc from "fast-check";
import { readNotice } from "../../src/core/record/notice.ts";
import type { Notice } from "../../src/core/record/notice.ts";
import { isWanted, matchesRule } from "../../src/deliver/filter.ts";
import { linkProblem, linkTo } from "../../src/deliver/link.ts";
import { isForgeable, sinkName } from "../../src/deliver/sink.ts";
import type { SinkSettings } from "../../src/deliver/sink.ts";
import { alarmOf } from "../helpers/notices.ts";
import { alertRecord, record } from "../helpers/queue.ts";

const uid = "01a2b3c4-0000-7000-8000-00000000000a";

function noticeOf(bytes: Buffer, changes: Partial<Notice> = {}): Notice {
  const notice = readNotice(bytes);
  if (!notice) throw new Error("no notice");
  return { ...notice, ...changes };
}

const event = (name: string): Notice =>
  noticeOf(record("agent", { uid, event: name, trouble: "engine" }));

const nameOf = (changes: Partial<SinkSettings>): string =>
  sinkName({ format: "standard", url: "https://soc.example/", minSeverity: "info", ...changes });

test("a sink's name is stable and shows nothing of the URL but its host", (t) => {
  const url = "https://soc.example:8443/T00/very-secret?x=1";
  t.regex(nameOf({ url }), /^webhook:soc\.example:8443:[0-9a-f]{8}$/);
  t.is(nameOf({ url, minSeverity: "high", secret: "/other" }), nameOf({ url }));
  t.not(nameOf({ url: "https://soc.example:8443/T00/other" }), nameOf({ url }));
  t.regex(nameOf({ url, format: "slack" }), /^slack:soc\.example:8443:[0-9a-f]{8}$/);
});

test("two tokens at one address are two sinks", (t) => {
  const one = nameOf({ format: "slack", secret: "/a" });
  t.not(nameOf({ format: "slack", secret: "/b" }), one);
});

test("only what is not encrypted and of another host can be forged", (t) => {
  for (const url of [
    "http://soc.example/hook",
    "http://10.0.0.1/",
    "http://127.0.0.1.example/",
    "tcp://soc.example:601",
  ])
    t.true(isForgeable(url), url);
  for (const url of [
    "https://soc.example/",
    "tls://soc.example:6514",
    "http://localhost:1/",
    "http://127.0.0.1/",
    "http://[::1]/",
  ])
    t.false(isForgeable(url), url);
});

test("alerts below the least severity, of other clusters and of other rules are not wanted", (t) => {
  const alert = noticeOf(alertRecord(uid, 3), { rule: "kubeadm/static-pods" });
  const wants = (filter: object) => isWanted(alert, { minSeverity: "info", ...filter }, false);
  t.true(wants({ minSeverity: "medium" }));
  t.false(wants({ minSeverity: "high" }));
  t.true(wants({ clusters: ["other", "lab"] }));
  t.false(wants({ clusters: ["other"] }));
  t.true(wants({ rules: ["linux/*", "kubeadm/*"] }));
  t.false(wants({ rules: ["linux/*"] }));
});

test("events of the agent go to machines always, to people by their severity, and to no other cluster", (t) => {
  const filter = { minSeverity: "high", rules: ["kubeadm/*"] } as const;
  t.true(isWanted(event("started"), filter, false));
  t.false(isWanted(event("started"), filter, true));
  for (const name of ["degraded", "recovered", "test"])
    t.true(isWanted(event(name), filter, true), name);
  t.false(isWanted(event("degraded"), { ...filter, clusters: ["other"] }, false));
});

test("an alarm of a collector has a severity and no rule, and its end goes to those who got it", (t) => {
  const silent = noticeOf(alarmOf("silent"));
  const heard = noticeOf(alarmOf("heard", "info"));
  for (const isForPeople of [true, false]) {
    const filter = { minSeverity: "critical", rules: ["kubeadm/*"] } as const;
    t.true(isWanted(silent, filter, isForPeople));
    t.true(isWanted(heard, filter, isForPeople));
    t.false(isWanted({ ...silent, severity: "high" }, filter, isForPeople));
  }
});

test("a star in a rule's pattern stands for any text, and nothing else is special", (t) => {
  for (const [rule, glob, expected] of [
    ["kubeadm/static-pods", "kubeadm/*", true],
    ["kubeadm/static-pods", "*pods", true],
    ["kubeadm/static-pods", "k*/*-p*s", true],
    ["kubeadm/static-pods", "kubeadm/static.pods", false],
    ["kubeadm/static-pods", "kubeadm", false],
    ["ab", "ab*b", false],
    ["", "*", true],
  ] as const)
    t.is(matchesRule(rule, glob), expected, `${rule} ${glob}`);
});

test("a pattern made of a rule by replacing parts with stars matches that rule", (t) => {
  const parts = fc.array(fc.string({ maxLength: 5 }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(parts, parts, (kept, lost) => {
      const plain = kept.map((part) => part.replaceAll("*", ""));
      const rule = plain.reduce((text, part, at) => `${text}${lost[at] ?? ""}${part}`);
      return matchesRule(rule, plain.join("*"));
    }),
  );
  t.pass();
});

test("a link holds the record's id, node and cluster, encoded", (t) => {
  const alert = noticeOf(alertRecord(uid), { node: "a/b|<x>" });
  t.is(
    linkTo(alert, "https://fim.example/a/{uid}?n={node}&c={cluster}"),
    `https://fim.example/a/${uid}?n=a%2Fb%7C%3Cx%3E&c=lab`,
  );
  t.is(linkTo(alert, undefined), undefined);
});

test("a template of a link is an address of the web with known names", (t) => {
  t.is(linkProblem("https://fim.example/a/{uid}?n={node}&c={cluster}"), undefined);
  t.is(linkProblem("https://{cluster}.example/{uid}"), undefined);
  t.regex(linkProblem("https://fim.example/{id}") ?? "", /expected \{uid\}.*found "\{id\}"/);
  t.regex(linkProblem("javascript:alert({uid})") ?? "", /expected an http or https URL/);
  t.regex(linkProblem("fim.example/{uid}") ?? "", /expected an http or https URL/);
});
