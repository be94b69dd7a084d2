import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { detectPolicy } from "../../src/policy/detect.ts";

const dir = mkdtempSync(join(tmpdir(), "fim-detect-"));
test.after.always(() => rmSync(dir, { recursive: true, force: true }));
const policies = {
  linux: "",
  one: "detect: {all: [/a]}",
  two: "detect: {all: [/a, /b], none: [/no]}",
  three: "detect: {any: [/x, /y]}",
};
for (const [name, detect] of Object.entries(policies))
  writeFileSync(join(dir, `${name}.yaml`), `name: ${name}\n${detect}\n`);

const detectAmong = (...paths: string[]) =>
  detectPolicy([dir], { exists: (path) => paths.includes(path), approved: [] });

const shipped = [join(import.meta.dirname, "../../baselines")];
const apiserver = "/etc/kubernetes/manifests/kube-apiserver.yaml";

test("a host on which no policy's paths exist gets linux", async (t) => {
  t.is(await detectAmong(), "linux");
  t.is(await detectAmong("/b"), "linux");
});

test("the policy with more paths that must exist is preferred", async (t) => {
  t.is(await detectAmong("/a"), "one");
  t.is(await detectAmong("/a", "/b", "/x"), "two");
});

test("a path that must not exist rules a policy out", async (t) => {
  t.is(await detectAmong("/a", "/b", "/no"), "one");
});

test("one of several paths is enough under any", async (t) => {
  t.is(await detectAmong("/y"), "three");
});

test("a kubeadm node is distinguished from a k3s node and from a plain host", async (t) => {
  t.is(
    await detectPolicy(shipped, { exists: (path) => path === apiserver, approved: [] }),
    "kubeadm",
  );
  t.is(await detectPolicy(shipped, { exists: () => false, approved: [] }), "linux");
});

test("an invalid policy among them is refused", async (t) => {
  const bad = mkdtempSync(join(tmpdir(), "fim-detect-"));
  t.teardown(() => rmSync(bad, { recursive: true }));
  writeFileSync(join(bad, "bad.yaml"), "name: bad\ndetect: {al: [/a]}\n");
  await t.throwsAsync(detectPolicy([bad], { exists: () => true, approved: [] }), {
    message: /bad\.yaml:2: detect: unknown key "al", did you mean "all"/,
  });
});

test("a policy that was approved stays, though nothing of it is there any more", async (t) => {
  const fits = { exists: () => false, approved: ["kubeadm"] };
  t.is(await detectPolicy(shipped, fits), "kubeadm");
  t.is(await detectPolicy(shipped, { ...fits, approved: ["mine", "linux"] }), "linux");
  const recognised = { exists: (path: string) => path === apiserver, approved: ["linux"] };
  t.is(await detectPolicy(shipped, recognised), "kubeadm");
});
