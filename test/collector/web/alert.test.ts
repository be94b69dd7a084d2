import test from "ava";
import fc from "fast-check";
import { rowOf } from "../../../src/collector/web/alert.js";
import type { Row } from "../../../src/collector/web/alert.js";
import { Groups } from "../../../src/collector/web/groups.js";
import { sentenceOf } from "../../../src/collector/web/sentence.js";
import { toEvent } from "../../../src/core/record/alert.ts";
import type { Severity } from "../../../src/core/policy/rule.ts";
import { eventContext, examples, judgedOf } from "../../helpers/judged.ts";
import { intrusion } from "../../helpers/story.ts";

const received = "2026-11-27T00:00:00.000Z";

function spoken(body: unknown, node = "cp-1"): string {
  const event = { ...(body as object), collector: { node, received } };
  return sentenceOf(event)
    .map(({ text }) => text)
    .join("");
}

test("a sentence says who did what, and where", (t) => {
  t.is(
    spoken(intrusion("cp-1").body),
    "Pod default/intruder (container c, /bin/sh, root) created the static pod manifest evil.yaml on cp-1",
  );
  const expected = {
    created:
      "/usr/bin/chmod (root, logged in as uid 1000) created the static pod manifest x on cp-1",
    deleted:
      "/usr/bin/chmod (root, logged in as uid 1000) deleted the static pod manifest kube-apiserver.yaml on cp-1",
    modified:
      "/usr/bin/chmod (root, logged in as uid 1000) changed the mode of the static pod manifest kube-apiserver.yaml from 0600 to 0644 on cp-1",
    unreadable:
      "/usr/bin/chmod (root, logged in as uid 1000) made the static pod manifest kube-apiserver.yaml unreadable (EACCES) on cp-1",
  } as const;
  for (const [kind, sentence] of Object.entries(expected)) {
    const example = examples[kind];
    if (example) t.is(spoken(toEvent(example, eventContext())), sentence);
  }
});

test("an uncertain program is never named as certain, an unknown one is not invented", (t) => {
  const candidates = ["/bin/a", "/bin/b"];
  const uncertain = judgedOf({ actor: { pid: 1, candidates } });
  t.regex(spoken(toEvent(uncertain, eventContext())), /^\/bin\/a or \/bin\/b, not certain which /);
  const { actor: _, ...unknown } = judgedOf();
  t.regex(spoken(toEvent(unknown, eventContext())), /^An unknown process changed /);
});

test("alarms of the collector and events of agents have sentences", (t) => {
  const alarm = { finding_info: { title: "Agent is silent", desc: "nothing was heard" } };
  t.is(spoken(alarm), "Agent is silent on cp-1: nothing was heard");
  t.is(
    spoken({ event: "degraded", trouble: "fanotify", reason: "queue full" }),
    "Agent degraded, fanotify on cp-1: queue full",
  );
});

test("whatever a node sends as an alert, the page makes a row and a sentence", (t) => {
  fc.assert(
    fc.property(
      fc.object({
        key: fc.constantFrom(
          "unmapped",
          "fim",
          "path",
          "actor",
          "collector",
          "time",
          "change",
          "uid",
          "x",
        ),
      }),
      (event) => {
        const { severity } = rowOf(event);
        return typeof spoken(event) === "string" && typeof severity === "string";
      },
    ),
  );
  t.is(rowOf({ collector: { severity: "unheard of" } }).severity, "critical");
  t.is(rowOf({ time: 1e300, collector: { received } }).at, Date.parse(received));
});

function row(uid: string, incident?: string, severity: Severity = "high"): Row {
  const event = { collector: { uid, severity }, unmapped: { fim: { path: "/x", incident } } };
  return rowOf(event);
}

const uidsOf = (groups: Groups) => groups.all.map(({ uids }) => uids.join("+"));

test("the changes of an incident fold into one row, led by the most severe", (t) => {
  const groups = new Groups({ isFolding: true });
  groups.append([row("a"), row("b", "i", "low"), row("c"), row("d", "i", "critical")]);
  t.deepEqual(uidsOf(groups), ["a", "b+d", "c"]);
  t.is(groups.all[1]?.lead.uid, "d");
  t.is(groups.indexOf("b"), 1);
});

test("a new alert is a row on top, even where its incident has one below", (t) => {
  const groups = new Groups({ isFolding: true });
  groups.append([row("a"), row("b", "i")]);
  groups.prepend([row("c", "i"), row("d", "j"), row("e", "j")]);
  t.deepEqual(uidsOf(groups), ["e+d", "c", "a", "b"]);
});

test("an alert that comes again is one row; one incident alone does not fold", (t) => {
  const groups = new Groups({ isFolding: false });
  groups.append([row("a", "i"), row("b", "i")]);
  groups.prepend([row("a", "i")]);
  t.deepEqual(uidsOf(groups), ["a", "b"]);
});

test("a folded alert says how many changes it stands for", (t) => {
  const { folded } = examples;
  const event = folded && toEvent(folded, eventContext());
  t.is(rowOf({ ...event, collector: { received } }).changes, 200);
  t.regex(spoken(event), /^200 like changes, the last: /);
});
