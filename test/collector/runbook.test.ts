import test from "ava";
import fc from "fast-check";
import { runbookOf, runbookProblem } from "../../src/collector/runbook.ts";
import { collectorSettings } from "../../src/collector/settings.ts";
import { Reporter, send, startCollector } from "../helpers/collector.ts";
import { columns } from "./store/rows.ts";

const template = "https://wiki.example/fim/{rule}?from={severity}";

test("a template holds known names, and its host is written out", (t) => {
  t.is(runbookProblem(template), undefined);
  t.is(runbookProblem("https://wiki.example/fim"), undefined);
  for (const wrong of [
    "{rule}",
    "https://{rule}/x",
    "https://a{type}.example/",
    "javascript:alert(1)",
    "ftp://a/",
  ])
    t.regex(runbookProblem(wrong) ?? "", /expected an http or https URL/, wrong);
  t.regex(runbookProblem("https://a.example/{uid}") ?? "", /found "\{uid\}"/);
  t.throws(() => collectorSettings({ runbook: "x" }, {}), { message: /^--runbook: / });
});

test("whatever a node names as a rule, the address stays at its host and path", (t) => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary" }).filter((one) => one.isWellFormed()),
      (rule) => {
        const { origin, pathname } = new URL(runbookOf(template, columns({ rule })) ?? "");
        const parts = pathname.split("/");
        return (
          origin === "https://wiki.example" && (parts.length === 3 || rule === "." || rule === "..")
        );
      },
    ),
  );
  t.is(runbookOf(template, columns()), undefined);
});

test("an alert comes with the address of its runbook", async (t) => {
  await using serving = await startCollector({ runbook: template });
  const reporter = new Reporter();
  await reporter.enrol(serving);
  await send(serving, reporter.batch());
  const { body } = await serving.read("/v1/alerts");
  const [{ collector } = t.fail()] = body["items"] as readonly { collector: { uid: string } }[];
  const { body: alert } = await serving.read(`/v1/alerts/${collector.uid}`);
  t.regex(
    (alert["collector"] as { runbook: string }).runbook,
    /^https:\/\/wiki\.example\/fim\/[\w%-]+\?from=\w+$/,
  );
});
