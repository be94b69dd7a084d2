import test from "ava";
import type { Change, JudgedChange } from "../../../src/core/change/change.ts";
import type { Look } from "../../../src/core/change/compare.ts";
import { rowOf } from "../../../src/core/change/observation.ts";
import { approvalsOf } from "../../../src/reconcile/approved/approvals.ts";
import { judgedOf } from "../../helpers/judged.ts";
import { rowFor, seenFile } from "../../helpers/state.ts";

const [old, fresh] = [seenFile(1), seenFile(2)];
const folder = seenFile(3, { type: "directory" });
const actor = { pid: 7, exe: "/usr/bin/dpkg" };

const allowed = (change: Change): JudgedChange => ({
  ...judgedOf(),
  change,
  verdict: "approved",
  byAllowedWriter: true,
  actor,
});
const stranger = (change: Change): JudgedChange => ({ ...judgedOf(), change });

const modified = (path: string): Change => ({
  kind: "modified",
  path,
  fields: ["content"],
  before: old,
  after: fresh,
});
const lookAt = (path: string, before?: Look["before"], after?: Look["before"]): Look => ({
  path,
  ...(before && { before }),
  ...(after && { after }),
});
const always = () => true;
const never = () => false;
const allBut =
  (spoiled: string) =>
  ({ path }: Look) =>
    path !== spoiled;
const paths = (...args: Parameters<typeof approvalsOf>) =>
  approvalsOf(...args).map(({ path, row }) => (row === undefined ? `no ${path}` : path));

test("the state that an allowed writer left is approved, with its rule, writer and time", (t) => {
  const change = allowed(modified("/a"));
  const found = approvalsOf([lookAt("/a", old, fresh)], [change], always);
  const { rule, at } = change;
  t.deepEqual(found, [{ path: "/a", rule, at, writer: actor, row: rowFor(2) }]);
});

test("what a stranger did at the same path in the same moment is not approved", (t) => {
  const looks = [lookAt("/a", old, fresh)];
  const changes = [allowed(modified("/a")), stranger(modified("/a"))];
  t.deepEqual(paths(looks, changes, always), []);
});

test("a state on top of one that was not approved is not approved, a removal is", (t) => {
  t.deepEqual(paths([lookAt("/a", old, fresh)], [allowed(modified("/a"))], never), []);
  const removed = allowed({ kind: "deleted", path: "/a", before: old });
  t.deepEqual(paths([lookAt("/a", old)], [removed], never), ["no /a"]);
});

test("a file that was not approved under its old name is not approved under its new one", (t) => {
  const move: Change = {
    kind: "renamed",
    path: "/new",
    from: "/old",
    fields: [],
    before: old,
    after: old,
  };
  const looks = [lookAt("/old", old), lookAt("/new", undefined, old)];
  t.deepEqual(paths(looks, [allowed(move)], always), ["no /old", "/new"]);
  t.deepEqual(paths(looks, [allowed(move)], allBut("/old")), ["no /old"]);
});

test("what a renamed directory carries along is approved with it, each by its own old name", (t) => {
  const move: Change = {
    kind: "renamed",
    path: "/new",
    from: "/old",
    fields: [],
    before: folder,
    after: folder,
    count: 2,
  };
  const looks = [
    lookAt("/old", folder),
    lookAt("/old/a", old),
    lookAt("/old/b", fresh),
    lookAt("/new", undefined, folder),
    lookAt("/new/a", undefined, old),
    lookAt("/new/b", undefined, fresh),
    lookAt("/newer", undefined, fresh),
  ];
  const gone = ["no /old", "no /old/a", "no /old/b"];
  t.deepEqual(paths(looks, [allowed(move)], always), [...gone, "/new", "/new/a", "/new/b"]);
  t.deepEqual(paths(looks, [allowed(move)], allBut("/old/b")), [...gone, "/new", "/new/a"]);
});

test("a link whose target has no portable form is left to a person", (t) => {
  const link = seenFile(4, { type: "symlink", target: "/\udcff" });
  t.regex(rowOf(link), /\\udcff/);
  const made = allowed({ kind: "created", path: "/a", after: link });
  t.deepEqual(paths([lookAt("/a", undefined, link)], [made], always), []);
});
