import test from "ava";
import fc from "fast-check";
import type { Field } from "../../../src/core/change/change.ts";
import { compare, differences } from "../../../src/core/change/compare.ts";
import type { Observation } from "../../../src/core/change/observation.ts";
import { observation, seen } from "../../helpers/judged.ts";

const later = "2026-11-24T00:00:00.000000000Z";

function unread(more: Partial<Observation> = {}): Observation {
  const { sha256: _, ...rest } = seen(more);
  return rest;
}

interface Case {
  readonly title: string;
  readonly before?: Observation;
  readonly after: Observation;
  readonly fields: readonly Field[];
}

const directory = seen({ type: "directory", size: 0 });
const link = seen({ type: "symlink", target: "/a", mode: 0o777 });

const cases: readonly Case[] = [
  { title: "the same content, written again", after: seen({ mtime: later }), fields: ["mtime"] },
  {
    title: "another content, mtime put back",
    after: seen({ sha256: "f".repeat(64) }),
    fields: ["content"],
  },
  {
    title: "another content, for which mtime needs no word",
    after: seen({ sha256: "f".repeat(64), mtime: later }),
    fields: ["content"],
  },
  {
    title: "another file of the same content",
    after: seen({ ino: "7", mtime: later }),
    fields: ["inode"],
  },
  {
    title: "an inode number that was used again",
    after: seen({ btime: later }),
    fields: ["inode"],
  },
  { title: "another device number alone, after a reboot", after: seen({ dev: "8:1" }), fields: [] },
  { title: "ctime alone", after: seen({ ctime: later }), fields: [] },
  // No process read it: nothing says that the content is the same.
  {
    title: "an unread file of another size",
    before: unread(),
    after: unread({ size: 1 }),
    fields: ["content"],
  },
  {
    title: "an unread file that was written",
    before: unread(),
    after: unread({ mtime: later }),
    fields: ["content"],
  },
  {
    title: "an unread file in the place of another",
    before: unread(),
    after: unread({ ino: "7" }),
    fields: ["content", "inode"],
  },
  { title: "a file that is read for the first time", before: unread(), after: seen(), fields: [] },
  {
    title: "a directory whose entries changed",
    before: directory,
    after: { ...directory, mtime: later, nlink: 3 },
    fields: [],
  },
  {
    title: "another directory",
    before: directory,
    after: { ...directory, ino: "7" },
    fields: ["inode"],
  },
  {
    title: "a link to elsewhere",
    before: link,
    after: { ...link, target: "/b", ino: "7", mtime: later },
    fields: ["target", "inode"],
  },
  {
    title: "a link in the place of a file",
    before: seen(),
    after: { ...link, ino: "7" },
    fields: ["type"],
  },
];

for (const { title, before = seen(), after, fields } of cases)
  test(`${title}: ${fields.join(", ") || "nothing"}`, (t) => {
    t.deepEqual(differences(before, after), fields);
    const change = compare({ path: "/a", before, after });
    t.is(change?.kind, fields.length > 0 ? "modified" : undefined);
  });

test("nothing differs from itself, and what differs one way differs the other", (t) => {
  fc.assert(
    fc.property(observation, observation, (one, other) => {
      t.deepEqual(differences(one, one), []);
      t.deepEqual(differences(one, other), differences(other, one));
    }),
  );
});
