import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test from "ava";
import { IntegrityError } from "../../src/core/error.ts";
import { loadPolicy } from "../../src/policy/load.ts";

const base = mkdtempSync(join(tmpdir(), "fim-policy-"));
test.after.always(() => rmSync(base, { recursive: true, force: true }));

let count = 0;

/** A fresh directory with these files. */
function folder(files: Readonly<Record<string, string>>): string {
  const dir = join(base, String((count += 1)));
  mkdirSync(dir);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  return dir;
}

const rule = (id: string, more = "") =>
  `  - {id: ${id}, paths: [/${id}], class: immutable, severity: low, why: It matters.${more}}\n`;

async function refusal(names: readonly string[], dir: string): Promise<IntegrityError> {
  try {
    await loadPolicy(names, { dirs: [dir] });
  } catch (error) {
    if (error instanceof IntegrityError) return error;
    throw error;
  }
  throw new Error("the policy was not refused");
}

/** The problems of one file's text, as "line: message". */
async function problemsOf(text: string): Promise<string[]> {
  const dir = folder({ "p.yaml": text });
  const { message } = await refusal(["p"], dir);
  return message
    .split("\n")
    .slice(1)
    .map((line) => line.replace(`  ${dir}/p.yaml:`, ""));
}

test("a rule's defaults are filled in and its id carries the policy's name", async (t) => {
  const dir = folder({ "p.yaml": `name: mine\ndescription: D\nrules:\n${rule("a")}` });
  const policy = await loadPolicy(["p"], { dirs: [dir] });
  t.is(policy.name, "mine");
  t.is(policy.description, "D");
  t.deepEqual(policy.rules, [
    {
      id: "mine/a",
      paths: ["/a"],
      exclude: [],
      class: "immutable",
      severity: "low",
      why: "It matters.",
      writers: [],
      containerWriters: false,
      content: "text",
      validators: [],
      cis: [],
      attack: [],
    },
  ]);
  t.regex(policy.digest, /^[0-9a-f]{64}$/);
});

test("a mode is kept as four digits", async (t) => {
  const dir = folder({
    "p.yaml": `name: p\nrules:\n${rule("a", ', mode: "600", owner: "root:0"')}`,
  });
  const [first] = (await loadPolicy(["p"], { dirs: [dir] })).rules;
  t.is(first?.mode, "0600");
  t.is(first?.owner, "root:0");
});

test("included policies come first, each file once, and several names merge in order", async (t) => {
  const dir = folder({
    "base.yaml": `name: base\nrules:\n${rule("x")}`,
    "a.yaml": `name: a\ninclude: [base, sub/extra.yaml]\nrules:\n${rule("x")}`,
    "b.yaml": `name: b\ninclude: [base, a]\nrules:\n${rule("x")}`,
    "sub/extra.yaml": `name: extra\ninclude: [./more.yml]\nrules:\n${rule("x")}`,
    "sub/more.yml": `name: more\nrules:\n${rule("x")}`,
  });
  const both = await loadPolicy(["b", join(dir, "a.yaml")], { dirs: [dir] });
  t.deepEqual(
    both.rules.map(({ id }) => id),
    ["base/x", "more/x", "extra/x", "a/x", "b/x"],
  );
  t.is(both.name, "a+b");
});

test("a name is looked for in every directory, the first one first", async (t) => {
  const one = folder({ "p.yaml": `name: one\nrules:\n${rule("x")}` });
  const two = folder({ "p.yaml": "name: two", "q.yaml": `name: q\nrules:\n${rule("x")}` });
  const dirs = [join(base, "absent"), one, two];
  t.is((await loadPolicy(["p"], { dirs })).name, "one");
  t.is((await loadPolicy(["q"], { dirs })).name, "q");
});

test("the digest distinguishes policies and does not depend on the order of keys", async (t) => {
  const dir = folder({
    "a.yaml": `name: p\nrules:\n  - {id: r, paths: [/r], class: sealed, severity: low, why: W., mode: "0600"}`,
    "b.yaml": `name: p\nrules:\n  - {mode: "600", why: W., severity: low, class: sealed, paths: [/r], id: r}`,
    "c.yaml": `name: p\nrules:\n  - {id: r, paths: [/r], class: sealed, severity: high, why: W., mode: "0600"}`,
  });
  const digest = async (name: string) => (await loadPolicy([name], { dirs: [dir] })).digest;
  t.is(await digest("a"), await digest("b"));
  t.not(await digest("a"), await digest("c"));
});

test("every problem of a file is reported at once, with its line", async (t) => {
  const problems = await problemsOf(`name: p
descripton: misspelled
rules:
  - id: a
    paths: [etc/passwd, /etc/../shadow, "/etc/[a"]
    class: imutable
    severity: 7
    why: W.
    mode: 0600
    owner: root
    writers: [kubeadm]
  - id: a
    paths: []
    exclude: /x
    class: immutable
    severity: high
    sevrity: high
    why: W.
    content: words
    validators: [certificate]
    containerWriters: "yes"
    cis: [1.1]
    attack: [T12, T1543.02]
    mode: "0999"
`);
  const expected = [
    /^2: unknown key "descripton", did you mean "description"\?$/,
    /^5: rules\[0\]\.paths\[0\]: "etc\/passwd" is not absolute$/,
    /^5: rules\[0\]\.paths\[1\]: "\/etc\/\.\.\/shadow" goes through "\.\."$/,
    /^5: rules\[0\]\.paths\[2\]: "\/etc\/\[a" has a "\[" without its "\]"$/,
    /^6: rules\[0\]\.class: expected immutable, .*, found "imutable", did you mean "immutable"\?$/,
    /^7: rules\[0\]\.severity: expected info, .*, found number 7$/,
    /^9: rules\[0\]\.mode: expected a string, found number 600, write it in quotes$/,
    /^10: rules\[0\]\.owner: expected user:group, found "root"$/,
    /^11: rules\[0\]\.writers\[0\]: "kubeadm" is not absolute$/,
    /^12: rule id a is used twice$/,
    /^13: rules\[1\]\.paths: expected at least one path, found an empty list$/,
    /^14: rules\[1\]\.exclude: expected a list, found "\/x"$/,
    /^17: rules\[1\]: unknown key "sevrity", did you mean "severity"\?$/,
    /^19: rules\[1\]\.content: expected text, .*, found "words"$/,
    /^20: rules\[1\]\.validators\[0\]: expected certificate-renewal, .*, found "certificate"$/,
    /^21: rules\[1\]\.containerWriters: expected true, false, static, found "yes"$/,
    /^22: rules\[1\]\.cis\[0\]: expected a string, found number 1\.1, write it in quotes$/,
    /^23: rules\[1\]\.attack\[0\]: expected an id such as .*, found "T12"$/,
    /^23: rules\[1\]\.attack\[1\]: expected an id such as .*, found "T1543\.02"$/,
    /^24: rules\[1\]\.mode: expected octal digits/,
  ];
  t.is(problems.length, expected.length, problems.join("\n"));
  for (const [at, pattern] of expected.entries()) t.regex(problems[at] ?? "", pattern);
});

test("what is required and missing is named, at the line of its rule", async (t) => {
  t.deepEqual(await problemsOf("description: D\nrules:\n  - id: a\n    paths: [/a]\n"), [
    "1: name: missing",
    "3: rules[0].class: missing",
    "3: rules[0].severity: missing",
    "3: rules[0].why: missing",
  ]);
});

test("text that is not YAML, or not a map, is a problem with a line", async (t) => {
  t.regex((await problemsOf("name: p\nrules: [a\n"))[0] ?? "", /^[23]: not valid YAML: /);
  t.deepEqual(await problemsOf("- a"), ["1: expected a map, found a list"]);
  t.deepEqual(await problemsOf(""), ["1: expected a map, found nothing"]);
  t.regex((await problemsOf("name: p\n---\nname: q\n"))[0] ?? "", /^2: not valid YAML: /);
  t.regex((await problemsOf("name: p\nrules: *x\n"))[0] ?? "", /^2: not valid YAML: .*alias/i);
});

test("a repeated key is a problem and hides no other", async (t) => {
  const problems = await problemsOf("name: p\nname: q\nrulez: []\n");
  t.is(problems.length, 2);
  t.regex(problems[0] ?? "", /^2: not valid YAML: map keys must be unique/);
  t.regex(problems[1] ?? "", /^3: unknown key "rulez", did you mean "rules"\?/);
});

test("problems of included files are reported along, each under its own file", async (t) => {
  const dir = folder({
    "p.yaml": "name: p\ninclude: [q, linus, ./none.yaml]\nx: 1\n",
    "q.yaml": "name: q\nrules: 7\n",
    "linux.yaml": "name: linux\n",
  });
  const { message, code, hint } = await refusal(["p"], dir);
  t.is(code, "POLICY_INVALID");
  t.truthy(hint);
  t.deepEqual(message.split("\n"), [
    "policy p: 4 problems",
    `  ${dir}/p.yaml:3: unknown key "x"`,
    `  ${dir}/q.yaml:2: rules: expected a list, found number 7`,
    `  ${dir}/p.yaml:2: include: no policy linus, did you mean "linux"?`,
    `  ${dir}/none.yaml:1: no such file`,
  ]);
});

test("an include that goes in a circle is a problem", async (t) => {
  const dir = folder({
    "a.yaml": "name: a\ninclude: [b]\n",
    "b.yaml": "name: b\ninclude:\n  - a\n",
    "self.yaml": "name: self\ninclude: [self]\n",
  });
  t.is(
    (await refusal(["a"], dir)).message,
    `policy a: 1 problem\n  ${dir}/b.yaml:3: include: goes in a circle: a.yaml -> b.yaml -> a.yaml`,
  );
  t.regex((await refusal(["self"], dir)).message, /self\.yaml -> self\.yaml/);
});

test("two files that give one rule id are a problem", async (t) => {
  const dir = folder({
    "a.yaml": `name: p\nrules:\n${rule("x")}`,
    "b.yaml": `name: p\ninclude: [a]\nrules:\n${rule("y")}${rule("x")}`,
  });
  const { message } = await refusal(["b"], dir);
  t.true(message.includes(`b.yaml:5: rule id p/x is also in ${dir}/a.yaml`), message);
});

test("a policy without any rule is refused, one that includes its rules is not", async (t) => {
  const dir = folder({
    "none.yaml": "name: none\ndescription: D\n",
    "nor.yaml": "name: nor\ninclude: [none]\nrules: []\n",
    "all.yaml": "name: all\ninclude: [some]\n",
    "some.yaml": `name: some\nrules:\n${rule("x")}`,
  });
  const nothing = "there is no rule in it, so it would watch nothing";
  const { code, message } = await refusal(["none", "nor"], dir);
  t.is(code, "POLICY_INVALID");
  t.deepEqual(message.split("\n"), [
    "policy none, nor: 2 problems",
    `  ${dir}/none.yaml:1: ${nothing}`,
    `  ${dir}/nor.yaml:1: ${nothing}`,
  ]);
  t.is((await loadPolicy(["all"], { dirs: [dir] })).rules.length, 1);
  t.is((await loadPolicy(["none", "some"], { dirs: [dir] })).rules.length, 1);
});

test("an unknown policy is refused with the names that are known", async (t) => {
  const dir = folder({ "linux.yaml": "name: linux", "kubeadm.yaml": "name: kubeadm" });
  const error = await refusal(["kubadm"], dir);
  t.is(error.code, "POLICY_INVALID");
  t.regex(
    error.message,
    /policy kubadm: expected a name \(kubeadm, linux\) or a file.*"kubeadm"\?/,
  );
});

test("control characters of a policy file are escaped in the message", async (t) => {
  const [problem] = await problemsOf('name: p\n"a\\eb": 1\n');
  t.false(problem?.includes("\u001b"));
});
