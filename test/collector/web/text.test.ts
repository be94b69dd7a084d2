import test from "ava";
import { execFileSync } from "node:child_process";
import fc from "fast-check";
import {
  ago,
  middle,
  partsOf,
  plain,
  shellWord,
  shortTime,
} from "../../../src/collector/web/text.js";

const oddNames = (text: string) =>
  partsOf(text).flatMap((part) => ("odd" in part ? [part.odd] : []));

test("characters that do not show, or turn the direction, are named", (t) => {
  t.deepEqual(oddNames("a\nb\u202ec\u200b\u00a0\u0000\u{e0041}\u2066\ufeff\u00ad"), [
    "\\n",
    "U+202E",
    "U+200B",
    "U+00A0",
    "NUL",
    "U+E0041",
    "U+2066",
    "U+FEFF",
    "U+00AD",
  ]);
  t.deepEqual(oddNames("/etc/日本/été/ملف-1 b"), []);
});

test("the parts of a text are the whole text", (t) => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const shown = partsOf(text).map((part) => ("odd" in part ? "x" : part.text));
      return !/[\p{Cc}\p{Cf}]/u.test(shown.join("")) && shown.join("").length <= text.length;
    }),
  );
  t.is(plain("a\u202eb"), "a⟨U+202E⟩b");
});

test("a long text keeps both ends", (t) => {
  const cut = middle(`/etc/${"x".repeat(200)}/end.yaml`, 40);
  t.is(Array.from(cut).length, 40);
  t.true(cut.startsWith("/etc/") && cut.endsWith("/end.yaml"));
  t.is(middle("short", 40), "short");
});

test("a path is one word of a shell, whatever it holds", (t) => {
  const names = ["/etc/a b", "/etc/'; rm -rf /", '/etc/$(id)`id`"', "/a\nb", "/é", "/-x", "/\\"];
  for (const name of names)
    t.is(execFileSync("bash", ["-c", `printf %s ${shellWord(name)}`], { encoding: "utf8" }), name);
  const bytes = Buffer.from("/a\xffb", "latin1");
  const word = shellWord("/a\ufffdb", bytes.toString("base64"));
  t.deepEqual(execFileSync("bash", ["-c", `printf %s ${word}`]), bytes);
});

test("a time of last evening needs no date at night, one of yesterday morning does", (t) => {
  const night = new Date(2026, 10, 28, 3).getTime();
  const before = (hours: number): string => shortTime(night - hours * 3_600_000, night);
  t.is(before(4), "23:00");
  t.is(before(13), "27 Nov 14:00");
  t.is(before(-22), "29 Nov 01:00");
});

test("ages in words", (t) => {
  const now = 1e12;
  const cases = [
    [0, "just now"],
    [30, "30 s ago"],
    [150, "2 min ago"],
    [7200, "2 h ago"],
    [86_400, "1 day ago"],
    [-50, "just now"],
  ] as const;
  for (const [seconds, words] of cases) t.is(ago(now - seconds * 1000, now), words);
});
