import { existsSync, readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { ValidateFunction } from "ajv/dist/2020.js";
import test from "ava";
import fc from "fast-check";
import { toEvent } from "../../src/core/record/alert.ts";
import { eventContext, examples, folded, judged } from "../helpers/judged.ts";

function schema(file: string | URL): ValidateFunction {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  return ajv.compile(JSON.parse(readFileSync(file, "utf8")) as object);
}

const ours = schema(new URL("event.schema.json", import.meta.url));
const officialFile = process.env["FIM_OCSF_SCHEMA"];
const official =
  officialFile !== undefined && existsSync(officialFile) ? schema(officialFile) : undefined;

/** What a receiver parses from the bytes: the problems that both schemas find in it. */
function problems(event: unknown): unknown[] {
  const parsed: unknown = JSON.parse(JSON.stringify(event));
  return [ours, official].flatMap((validate): unknown[] =>
    validate === undefined || validate(parsed) ? [] : (validate.errors ?? ["unknown"]),
  );
}

for (const [kind, example] of Object.entries(examples)) {
  test(`the event of a ${kind} change is valid, the process that did it`, (t) => {
    t.deepEqual(problems(toEvent(example, eventContext())), []);
    const { actor: _, engine: __, ...found } = example;
    t.deepEqual(problems(toEvent(found, eventContext({ host: {} }))), []);
    t.deepEqual(problems(toEvent({ ...example, verdict: "approved" }, eventContext())), []);
  });
}

test("the event of any judged change is valid", (t) => {
  fc.assert(
    fc.property(fc.oneof(judged, folded), (one) => {
      t.deepEqual(problems(toEvent(one, eventContext())), []);
    }),
    { numRuns: 300 },
  );
});

test("the schema refuses an event with a key more, a key less or a wrong activity", (t) => {
  const event = toEvent(examples["modified"] ?? t.fail(), eventContext());
  const { device: _, ...less } = event;
  t.not(problems({ ...event, surprise: 1 }).length, 0);
  t.not(problems(less).length, 0);
  t.not(problems({ ...event, activity_id: 42 }).length, 0);
  t.not(problems({ ...event, activity_id: 1 }).length, 0);
  t.not(problems({ ...event, is_alert: false }).length, 0);
});

(official ? test : test.skip)("the official OCSF schema of FIM_OCSF_SCHEMA is in use", (t) => {
  const event = toEvent(examples["modified"] ?? t.fail(), eventContext());
  t.true(official?.(event));
  t.false(official?.({ ...event, surprise: 1 }));
});
