import test from "ava";
import yargs from "yargs";
import { readPlain } from "../../src/cli/fast-args.ts";

const plain: readonly (readonly [line: string, given: Readonly<Record<string, unknown>>])[] = [
  ["baseline", {}],
  ["baseline --replace --reason x", { replace: true, reason: "x" }],
  ["check", { path: [] }],
  ["check /a /b --format ndjson", { path: ["/a", "/b"], format: "ndjson" }],
  ["--root /host check --state=/s /a", { root: "/host", state: "/s", path: ["/a"] }],
  ["watch --policy a --policy=b.yaml", { policy: ["a", "b.yaml"] }],
  [
    "watch --log-level warn --engine sweep --listen [::1]:0",
    { logLevel: "warn", engine: "sweep", listen: "[::1]:0" },
  ],
  ["watch --config c --node n --cluster k", { config: "c", node: "n", cluster: "k" }],
  ["check --root=", { root: "" }],
  ["check -- /a", { path: ["/a"] }],
  ["check /a --root /host -- --root -b", { path: ["/a", "--root", "-b"], root: "/host" }],
];

for (const [line, given] of plain) {
  test(`${line}: is read as yargs would`, (t) => {
    const args = line.split(" ");
    const read = readPlain(args);
    t.true(args.includes(String(read?.command)));
    const text = { type: "string" } as const;
    const parser = yargs(args).option("policy", { ...text, array: true, nargs: 1 });
    for (const name of ["config", "root", "state", "node", "cluster", "engine", "format", "listen"])
      parser.option(name, text);
    const known = parser
      .options({ "log-level": text, reason: text, replace: { type: "boolean" } })
      .parseSync() as Readonly<Record<string, unknown>>;
    for (const [name, value] of Object.entries(given)) {
      t.deepEqual(read?.given[name], value);
      if (name !== "path") t.deepEqual(known[name], value);
    }
    const { path: _, ...rest } = given;
    const { path: __, ...found } = read?.given ?? {};
    t.deepEqual(found, rest, "nothing else");
  });
}

const others: readonly string[] = [
  "",
  "--help",
  "baseline --help",
  "watch -h",
  "--version",
  "doctor",
  "policy lint",
  "baseline /a",
  "watch /a",
  "check --reason x",
  "watch --replace",
  "check --root",
  "check --root --state",
  "check --root /a --root /b",
  "check --rooot /a",
  "check --replace=yes",
  "check --no-replace",
  "watch -- /a",
  "-- check",
  "constructor",
  "accept /a --reason x",
];

for (const line of others) {
  test(`"${line}" is left to yargs`, (t) => {
    t.is(readPlain(line === "" ? [] : line.split(" ")), undefined);
  });
}
