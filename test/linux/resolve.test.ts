import { mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import test from "ava";
import { resolveInRoot } from "../../src/linux/resolve.ts";
import { makePlace } from "../helpers/tree.ts";

function makeRoot() {
  const place = makePlace();
  mkdirSync(place.at("root/usr/bin"), { recursive: true });
  writeFileSync(place.at("root/usr/bin/tool"), "");
  symlinkSync("usr/bin", place.at("root/bin"));
  symlinkSync("/bin/tool", place.at("root/absolute"));
  symlinkSync("../../../../../usr/bin/tool", place.at("root/usr/above"));
  symlinkSync("loop", place.at("root/loop"));
  writeFileSync(place.at("outside"), "");
  symlinkSync(place.at("outside"), place.at("root/out"));
  return { ...place, root: place.at("root") };
}

const cases: readonly (readonly [path: string, real: string | undefined])[] = [
  ["/usr/bin/tool", "/usr/bin/tool"],
  ["/bin/tool", "/usr/bin/tool"],
  ["/bin/../bin/./tool", "/usr/bin/tool"],
  ["/absolute", "/usr/bin/tool"],
  ["/usr/above", "/usr/bin/tool"],
  ["/usr/bin", "/usr/bin"],
  ["/nothing", undefined],
  ["/loop", undefined],
  ["/out", undefined],
  ["/usr/bin/tool/x", undefined],
];

test("a name leads to where its links lead within the root, and never out of it", (t) => {
  using place = makeRoot();
  for (const [path, real] of cases) t.is(resolveInRoot(place.root, path)?.path, real, path);
});

test("the file at the end is reported by its device and inode", (t) => {
  using place = makeRoot();
  const { ino } = statSync(place.at("root/usr/bin/tool"));
  t.is(resolveInRoot(place.root, "/bin/tool")?.ino, String(ino));
  t.regex(resolveInRoot(place.root, "/bin/tool")?.dev ?? "", /^\d+:\d+$/);
});

test("a root that is given through a link is left out of the path all the same", (t) => {
  using place = makeRoot();
  symlinkSync(place.root, place.at("link"));
  t.is(resolveInRoot(place.at("link"), "/bin/tool")?.path, "/usr/bin/tool");
});

test("the root of this machine is one too", (t) => {
  t.is(resolveInRoot("/", "/proc/../proc/.")?.path, "/proc");
});
