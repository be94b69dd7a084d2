import test from "ava";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { loadPolicy } from "../../src/policy/load.ts";
import { missingProgram } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";

const home = join(import.meta.dirname, "../..");
const rendering = needing(missingProgram("kubectl"));

type Json = Readonly<Record<string, unknown>>;

interface Pod {
  readonly securityContext: Json;
  readonly containers: readonly (Json & { readonly env?: unknown })[];
  readonly initContainers?: readonly (Json & { readonly args: readonly string[] })[];
  readonly volumes: readonly (Json & { readonly name: string })[];
}

interface Manifest {
  readonly kind: string;
  readonly metadata: Json & { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly rules?: unknown;
  readonly spec: Json & { readonly replicas?: number; readonly template: { readonly spec: Pod } };
}

function render(overlay: string): (kind: string, name?: string) => Manifest | undefined {
  const dir = join(home, "deploy/kustomize/overlays", overlay);
  const text = execFileSync("kubectl", ["kustomize", dir], { encoding: "utf8" });
  const all = parseAllDocuments(text).map((document) => document.toJS() as Manifest);
  return (kind, name) =>
    all.find((one) => one.kind === kind && (name === undefined || one.metadata.name === name));
}

for (const overlay of ["k3s", "rke2", "openshift"])
  rendering(`the overlay ${overlay} names the policy of its distribution`, async (t) => {
    const config = render(overlay)("ConfigMap")?.data?.["config.yaml"] ?? "";
    const { policy } = parse(config) as { readonly policy: readonly string[] };
    t.deepEqual(policy, [overlay]);
    const { rules } = await loadPolicy(policy, { dirs: [join(home, "baselines")] });
    t.true(rules.some(({ severity }) => severity === "critical"));
  });

const install = readFileSync(join(home, "docs/install.md"), "utf8");

test("docs/install.md names every overlay, and no other", (t) => {
  const [, table = ""] = /\n\| overlay \| is \|\n([^]*?)\n\n/.exec(install) ?? [];
  const named = [...table.matchAll(/^\| (`[^|]+`) \|/gm)].flatMap(([, cell = ""]) =>
    [...cell.matchAll(/`([\w-]+)`/g)].map(([, name = ""]) => name),
  );
  t.deepEqual(named.toSorted(), readdirSync(join(home, "deploy/kustomize/overlays")).toSorted());
});

rendering("the overlay that docs/install.md shows renders, with the image that it names", (t) => {
  const [, file = "", text = ""] = /```yaml\n# (fim\/\S+)\n([^]*?)```/.exec(install) ?? [];
  const dir = mkdtempSync(join(tmpdir(), "fim-docs-"));
  t.teardown(() => rmSync(dir, { recursive: true }));
  symlinkSync(home, join(dir, "fim-agent"));
  mkdirSync(join(dir, "fim"));
  writeFileSync(join(dir, file), text);
  const args = ["kustomize", join(dir, "fim")];
  const all = parseAllDocuments(execFileSync("kubectl", args, { encoding: "utf8" }));
  const pods = all
    .map((document) => document.toJS() as Manifest)
    .filter(({ kind }) => kind === "DaemonSet" || kind === "Deployment")
    .map(({ spec }) => spec.template.spec);
  const images = pods.flatMap(({ containers, initContainers = [] }) =>
    [...containers, ...initContainers].map(({ image }) => image),
  );
  t.is(images.length, 3);
  for (const image of images) t.is(image, "registry.example/fim-agent:0.1.0");
});

rendering("OpenShift's constraints admit the agent's pod and little else", (t) => {
  const find = render("openshift");
  const constraints = find("SecurityContextConstraints") as unknown as Json;
  const { volumes, containers, securityContext } = find("DaemonSet")?.spec.template.spec ?? {
    volumes: [],
    containers: [],
    securityContext: {},
  };
  const [agent] = containers as readonly { securityContext: { capabilities: { add: string[] } } }[];
  t.deepEqual(constraints["allowedCapabilities"], agent?.securityContext.capabilities.add);
  t.like(constraints, {
    allowPrivilegedContainer: false,
    allowPrivilegeEscalation: false,
    allowHostNetwork: false,
    allowHostPID: true,
    readOnlyRootFilesystem: true,
    users: [],
    groups: [],
  });
  const kinds = volumes.flatMap((one) => Object.keys(one).filter((key) => key !== "name"));
  t.true(kinds.length > 2);
  for (const kind of kinds) t.true((constraints["volumes"] as string[]).includes(kind), kind);
  t.like(securityContext, { seLinuxOptions: { type: "spc_t" } });
  t.deepEqual(find("Role", "fim-agent-constraints")?.rules, [
    {
      apiGroups: ["security.openshift.io"],
      resources: ["securitycontextconstraints"],
      resourceNames: ["fim-agent"],
      verbs: ["use"],
    },
  ]);
});

rendering("two collectors on PostgreSQL have no volume, and a drain leaves one of them", (t) => {
  const find = render("postgres");
  t.is(find("PersistentVolumeClaim"), undefined);
  const { spec } = find("Deployment") ?? {};
  t.like(spec, { replicas: 2, strategy: { type: "RollingUpdate" } });
  t.like(find("PodDisruptionBudget")?.spec, { maxUnavailable: 1 });
  const [collector] = spec?.template.spec.containers ?? [];
  t.deepEqual(collector?.env, [
    {
      name: "FIM_COLLECTOR_STORE",
      valueFrom: { secretKeyRef: { name: "fim-collector-store", key: "store" } },
    },
  ]);
});

rendering("both collectors get the key of the Secret, which then is their user's alone", (t) => {
  const [init] = render("postgres")("Deployment")?.spec.template.spec.initContainers ?? [];
  const dir = mkdtempSync(join(tmpdir(), "fim-overlay-"));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const { privateKey } = generateKeyPairSync("ed25519");
  mkdirSync(join(dir, "secret"));
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  writeFileSync(join(dir, "secret/agent.key"), pem, { mode: 0o440 });
  const shown = ["one", "two"].map((name) => {
    const state = join(dir, name);
    // A volume of the kubelet: every user may write.
    mkdirSync(state);
    execFileSync("chmod", ["2777", state]);
    const script = init?.args[1]
      ?.replace("/etc/fim-collector-key", join(dir, "secret"))
      .replace("/var/lib/fim-collector", state);
    execFileSync(process.execPath, ["--eval", script ?? "throw 1"]);
    t.is(statSync(join(state, "agent.key")).mode & 0o777, 0o600);
    const args = ["key", "show", "--state", state];
    return execFileSync(join(home, "bin/fim-collector"), args, { encoding: "utf8" });
  });
  t.is(shown.length, 2);
  t.regex(shown[0] ?? "", /\S/);
  t.is(shown[0], shown[1]);
});
