import { readFileSync } from "node:fs";
import test from "ava";
import { giveBackProgramPages, pureMappings } from "../../src/linux/pages.ts";

const smaps = `0040000-0041000 r-xp 00001000 fe:00 5335719                            /usr/bin/node
Rss:                   4 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
0041000-0043000 r--p 00001000 fe:00 5335719                            /usr/bin/node (relocated)
Rss:                   4 kB
Anonymous:             4 kB
VmFlags: rd mr mw me
0043000-0044000 rw-p 00001000 fe:00 5335719                            /usr/bin/node
Anonymous:             0 kB
0045000-0046000 r--p 00000000 00:00 0                                  [vvar]
Anonymous:             0 kB
0047000-0048000 r--s 00000000 fe:00 12                                 /shared
Anonymous:             0 kB
0049000-004c000 r--p 00000000 fe:00 7                                  /a name
with a line feed
Anonymous:             0 kB
`;

test("only private, read-only mappings of files without a written page are given back", (t) => {
  t.deepEqual(pureMappings(smaps), [
    { from: 0x40000, length: 0x1000 },
    { from: 0x49000, length: 0x3000 },
  ]);
});

test.serial("the process goes on, with fewer pages of its program", (t) => {
  const before = residentOfFiles();
  giveBackProgramPages();
  t.true(residentOfFiles() < before);
  t.is(JSON.stringify({ a: [1, 2, 3].map((one) => one * 2) }), '{"a":[2,4,6]}');
});

function residentOfFiles(): number {
  const [, kilobytes] =
    /^RssFile:\s+(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return Number(kilobytes);
}
