import test from "ava";
import fc from "fast-check";
import { approvalBody, parseApprovals } from "../../../src/core/record/approval.ts";
import { decodePath } from "../../../src/core/path.ts";
import { rowFor } from "../../helpers/state.ts";

const path = fc
  .uint8Array({ minLength: 1, maxLength: 20 })
  .map((bytes) => decodePath(Buffer.from([0x2f, ...bytes.filter((one) => one !== 0)])));
const state = fc.record(
  {
    path,
    rule: fc.string(),
    writer: fc.record({ pid: fc.nat(), exe: fc.string() }, { requiredKeys: ["pid"] }),
    at: fc.integer({ min: 0, max: 4e12 }),
    row: fc.nat().map(rowFor),
  },
  { requiredKeys: ["path", "rule", "writer", "at"] },
);

test("what a record approves is read as it was written, whatever the names", (t) => {
  const property = fc.property(fc.array(state, { maxLength: 5 }), (states) => {
    const bytes = JSON.stringify(approvalBody(states));
    t.true(bytes.isWellFormed());
    t.deepEqual(parseApprovals(JSON.parse(bytes)), states);
  });
  t.notThrows(() => fc.assert(property));
});

test("what is not of the form approves nothing", (t) => {
  const [good] = parseApprovals(
    approvalBody([{ path: "/a", rule: "p/r", writer: { pid: 1 }, at: 0, row: rowFor(1) }]),
  );
  t.is(good?.path, "/a");
  const one = { path: "/a", rule: "p/r", writer: { pid: 1 }, at: "1970-01-01T00:00:00.000Z" };
  const spoiled = [
    { ...one, path: 1 },
    { ...one, rule: undefined },
    { ...one, writer: {} },
    { ...one, at: "yesterday" },
    { ...one, row: "{}" },
    null,
  ];
  t.is(parseApprovals({ approved: [one] }).length, 1);
  for (const body of [...spoiled.map((bad) => ({ approved: [bad] })), { approved: {} }, null, 3])
    t.deepEqual(parseApprovals(body), [], JSON.stringify(body));
});
