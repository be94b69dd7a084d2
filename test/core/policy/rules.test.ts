import test from "ava";
import fc from "fast-check";
import picomatch from "picomatch";
import { IntegrityError } from "../../../src/core/error.ts";
import { isBelow } from "../../../src/core/path.ts";
import type { Rule } from "../../../src/core/policy/rule.ts";
import { compileRules } from "../../../src/core/policy/rules.ts";
import { ruleWith } from "../../helpers/rule.ts";

function rule(id: string, paths: readonly string[], exclude: readonly string[] = []): Rule {
  return ruleWith({ id, paths, exclude });
}

function find(rules: readonly Rule[], path: string): string | undefined {
  return compileRules(rules).find(path)?.rule.id;
}

test("a directory's ** is the directory itself and everything below it, dot names included", (t) => {
  const rules = [rule("r", ["/etc/kubernetes/**"])];
  for (const path of ["/etc/kubernetes", "/etc/kubernetes/.x", "/etc/kubernetes/a/.b/c"])
    t.is(find(rules, path), "r", path);
  for (const path of ["/", "/etc", "/etc/kubernetes2", "/etc/kubernete", "/etc/x"])
    t.is(find(rules, path), undefined, path);
});

test("a path without wildcards is exactly that path", (t) => {
  t.is(find([rule("r", ["/etc/passwd"])], "/etc/passwd"), "r");
  t.is(find([rule("r", ["/etc/passwd"])], "/etc/passwd/x"), undefined);
  t.is(find([rule("r", ["/"])], "/"), "r");
  t.is(find([rule("r", ["/**"])], "/"), "r");
});

test("a ** in the middle is any number of names, none included", (t) => {
  const rules = [rule("r", ["/p/**/*.key"])];
  for (const path of ["/p/a.key", "/p/x/a.key", "/p/x/y/.key"]) t.is(find(rules, path), "r", path);
  t.is(find(rules, "/p/a.crt"), undefined);
});

test("the longest literal prefix decides, whatever the order", (t) => {
  const wide = rule("wide", ["/etc/**"]);
  const narrow = rule("narrow", ["/etc/cron.*/**"]);
  t.is(find([wide, narrow], "/etc/cron.d/x"), "narrow");
  t.is(find([narrow, wide], "/etc/cron.d/x"), "narrow");
  t.is(find([narrow, wide], "/etc/cron"), "wide");
});

test("a path's own name is more specific than its directory's **", (t) => {
  const rules = [rule("own", ["/var/lib/etcd"]), rule("tree", ["/var/lib/etcd/**"])];
  t.is(find(rules, "/var/lib/etcd"), "own");
  t.is(find(rules, "/var/lib/etcd/member"), "tree");
});

test("of two rules with equally long prefixes the later one decides", (t) => {
  const rules = [rule("first", ["/a/**"]), rule("second", ["/a/*"])];
  t.is(find(rules, "/a/b"), "second");
  t.is(find(rules.toReversed(), "/a/b"), "first");
});

test("an exclusion of the rule that decides is not made good by a wider rule", (t) => {
  const rules = [rule("wide", ["/a/**"]), rule("quiet", ["/a/b/**"], ["/a/b/*.log"])];
  t.is(find(rules, "/a/b/x.log"), undefined);
  t.is(find(rules, "/a/b/x.txt"), "quiet");
  t.is(find(rules, "/a/x.log"), "wide");
});

test("a later rule that excludes the path it names silences it", (t) => {
  const rules = [rule("r", ["/a/x"]), rule("silence", ["/a/x"], ["/a/x"])];
  t.is(find(rules, "/a/x"), undefined);
});

test("the match carries the glob as it was written", (t) => {
  const index = compileRules([rule("r", ["/usr/{bin,local/bin}/{kubelet,ctr}"])]);
  t.is(index.find("/usr/local/bin/ctr")?.glob, "/usr/{bin,local/bin}/{kubelet,ctr}");
});

test("names that are not UTF-8 or hold a line feed match", (t) => {
  const rules = [rule("r", ["/a/*/c"]), rule("tree", ["/t/**"])];
  t.is(find(rules, "/a/\udcff\n/c"), "r");
  t.is(find(rules, "/t/\n/\udc80"), "tree");
});

test("a directory under which nothing can match need not be walked", (t) => {
  const index = compileRules([
    rule("kubelet", ["/var/lib/kubelet/**"], ["/var/lib/kubelet/pods/**", "/var/lib/kubelet/*.x"]),
    rule("ssh", ["/home/*/.ssh/**"]),
    rule("etc", ["/etc/**"]),
    rule("silence", ["/etc/noisy/**"], ["/etc/noisy/**"]),
    rule("but", ["/etc/noisy/not/this"]),
  ]);
  const may = ["/", "/var", "/var/lib/kubelet", "/var/lib/kubelet/a/b", "/var/lib/kubelet/d.x"];
  for (const dir of [...may, "/home/u", "/home/u/.ssh/k", "/etc/noisy", "/etc/noisy/not"])
    t.true(index.mayMatchBelow(dir), dir);
  const not = ["/var/lib/kubelet/pods", "/var/lib/kubelet/pods/a", "/home/u/.cache", "/usr"];
  for (const dir of [...not, "/etc/noisy/other", "/etc/noisy/not/that"])
    t.false(index.mayMatchBelow(dir), dir);
});

test("roots are the shortest literal paths to everything that can match", (t) => {
  const rules = [
    rule("a", ["/etc/passwd", "/etc/cron.{d,daily}/**", "/home/*/.ssh/**"]),
    rule("b", ["/var/lib/etcd/**", "/var/lib/etcd/member/wal/*.wal"]),
  ];
  t.deepEqual(compileRules(rules).roots, [
    "/etc/cron.d",
    "/etc/cron.daily",
    "/etc/passwd",
    "/home",
    "/var/lib/etcd",
  ]);
  t.deepEqual(compileRules([rule("r", ["/**/x"]), ...rules]).roots, ["/"]);
  t.deepEqual(compileRules([]).roots, []);
});

test("every rule that may hold for something inside a directory is found, those of the directory itself left aside", (t) => {
  const index = compileRules([
    rule("etc", ["/etc/**"]),
    rule("itself", ["/etc/kubernetes"]),
    rule("manifests", ["/etc/kubernetes/manifests/**"]),
    rule("cron", ["/etc/cron.{d,daily}/**"]),
    rule("keys", ["/**/authorized_keys"]),
  ]);
  const inside = (dir: string) => index.inside(dir).map(({ id }) => id);
  t.deepEqual(inside("/").toSorted(), ["cron", "etc", "itself", "keys", "manifests"]);
  t.deepEqual(inside("/etc").toSorted(), ["cron", "etc", "itself", "keys", "manifests"]);
  t.deepEqual(inside("/etc/kubernetes").toSorted(), ["keys", "manifests"]);
  t.deepEqual(inside("/etc/kubernetes/manifests").toSorted(), ["keys", "manifests"]);
  t.deepEqual(inside("/srv"), ["keys"]);
});

test("an explanation lists every rule that speaks of the path, the one that decides first", (t) => {
  const index = compileRules([
    rule("wide", ["/a/**"]),
    rule("earlier", ["/a/b/**", "/a/b/c"], ["/a/b/c"]),
    rule("later", ["/a/b/**"]),
    rule("other", ["/x"]),
  ]);
  const { match, candidates } = index.explain("/a/b/c");
  t.is(match, undefined);
  t.deepEqual(
    candidates.map(({ rule: { id }, glob, excludedBy }) => [id, glob, excludedBy]),
    [
      ["earlier", "/a/b/c", "/a/b/c"],
      ["later", "/a/b/**", undefined],
      ["earlier", "/a/b/**", "/a/b/c"],
      ["wide", "/a/**", undefined],
    ],
  );
  t.is(index.explain("/a/b/d").match?.rule.id, "later");
  t.deepEqual(index.explain("/q").candidates, []);
});

test("a rule whose glob is not one is refused with its id", (t) => {
  const error = t.throws(() => compileRules([rule("p/r", ["/a/[b"])]), {
    instanceOf: IntegrityError,
  });
  t.is(error?.code, "POLICY_INVALID");
  t.regex(error?.message ?? "", /rule p\/r: \/a\/\[b has a/);
});

function many(count: number) {
  return compileRules([
    rule("tree", ["/etc/**"]),
    ...Array.from({ length: count }, (_, at) =>
      rule(`r${at}`, [`/etc/d${at}/**`, `/etc/d${at}/*.conf`, `/opt/p${at}/bin/tool`]),
    ),
  ]);
}

test("a look-up touches as few trie nodes among 10,000 rules as among 10", (t) => {
  const few = many(10);
  const lots = many(10_000);
  for (const path of ["/etc/d7/a.conf", "/opt/p7/bin/tool", "/etc/x/y/z", "/usr/bin/x"]) {
    t.is(lots.explain(path).steps, few.explain(path).steps, path);
    t.true(lots.explain(path).steps < 20, path);
  }
  t.is(lots.find("/opt/p9999/bin/tool")?.rule.id, "r9999");
});

test("globs full of ** cost steps, not time without end", (t) => {
  const index = compileRules([rule("r", [`${"/**/a".repeat(12)}/b`])]);
  t.true(index.explain("/a".repeat(200)).steps < 200 * 60);
  t.is(index.find(`${"/a".repeat(200)}/b`)?.rule.id, "r");
});

// An oracle that asks picomatch about every glob of every rule.
const names = ["a", "b", "ab", ".a", "a.b"];
const pieces = [
  ...names.map((name) => [name]),
  ["*"],
  ["a*"],
  ["?"],
  ["[ab]"],
  ["[!a]"],
  ["*b"],
  ["**"],
  ["**"],
  ["a", "b"],
  ["a", "b*"],
];
const globArb = fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 4 });
type GlobParts = readonly (readonly string[])[];
const ruleArb = fc.record({
  paths: fc.array(globArb, { minLength: 1, maxLength: 3 }),
  exclude: fc.array(globArb, { maxLength: 2 }),
});
const rulesArb = fc.array(ruleArb, { maxLength: 6 });
const pathArb = fc
  .array(fc.constantFrom(...names, "\udc80", "c\nd"), { maxLength: 5 })
  .map((parts) => `/${parts.join("/")}`);

function written(parts: GlobParts): string {
  return parts.map((one) => `/${one.length > 1 ? `{${one.join(",")}}` : one[0]}`).join("");
}

function expanded(parts: GlobParts): string[] {
  return parts.reduce<string[]>(
    (texts, one) => texts.flatMap((text) => one.map((choice) => `${text}/${choice}`)),
    [""],
  );
}

/** picomatch wants a "/" after a wildcard and before "**": a "**" that stands for no name is left out for it. */
function picomatches(glob: string, path: string): boolean {
  if (glob === "") return path === "/";
  for (const { index } of glob.matchAll(/\/\*\*/g))
    if (picomatches(glob.slice(0, index) + glob.slice(index + 3), path)) return true;
  return picomatch(glob, { dot: true, flags: "s", posix: true, strictSlashes: true })(path);
}

function oracle(
  rules: readonly { paths: GlobParts[]; exclude: GlobParts[] }[],
  path: string,
): number | undefined {
  let best: { rank: number; at: number } | undefined;
  for (const [at, { paths }] of rules.entries()) {
    for (const glob of paths.flatMap(expanded)) {
      if (!picomatches(glob, path)) continue;
      const wild = glob.search(/[*?[]/);
      const rank = wild < 0 ? glob.length + 1 : glob.slice(0, wild).replace(/\/$/, "").length;
      if (!best || rank >= best.rank) best = { rank, at };
    }
  }
  if (!best) return undefined;
  const excluded = rules[best.at]?.exclude.some((parts) => picomatches(written(parts), path));
  return excluded ? undefined : best.at;
}

function compiled(rules: readonly { paths: GlobParts[]; exclude: GlobParts[] }[]) {
  return compileRules(
    rules.map(({ paths, exclude }, at) =>
      rule(String(at), paths.map(written), exclude.map(written)),
    ),
  );
}

test("a look-up finds the rule that picomatch over all rules finds", (t) => {
  fc.assert(
    fc.property(rulesArb, fc.array(pathArb, { minLength: 1, maxLength: 10 }), (rules, paths) => {
      const index = compiled(rules);
      for (const path of paths) {
        const expected = oracle(rules, path);
        const found = index.find(path)?.rule.id;
        if (found !== (expected === undefined ? undefined : String(expected)))
          throw new Error(`${JSON.stringify(path)}: found ${found}, expected ${expected}`);
        if (index.explain(path).match?.rule.id !== found) throw new Error(`explain ${path}`);
      }
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

test("every path that matches lies below a root and in directories that may be walked", (t) => {
  fc.assert(
    fc.property(rulesArb, pathArb, (rules, path) => {
      const index = compiled(rules);
      const { roots } = index;
      if (roots.some((one) => roots.some((other) => isBelow(one, other)))) return false;
      if (!index.find(path)) return true;
      if (!roots.some((root) => path === root || isBelow(path, root))) return false;
      const parts = path.split("/").slice(1);
      return parts.every((_, at) => index.mayMatchBelow(`/${parts.slice(0, at).join("/")}`));
    }),
    { numRuns: 3000 },
  );
  t.pass();
});
