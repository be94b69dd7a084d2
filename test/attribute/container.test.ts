import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { ContainerNames, parseBundle, parseLogName } from "../../src/attribute/container.ts";

const id = "0123456789abcdef".repeat(4);

function node(files: Readonly<Record<string, string>>): { readonly root: string } & Disposable {
  const root = fs.mkdtempSync(join(tmpdir(), "fim-container-"));
  for (const [path, text] of Object.entries(files)) {
    fs.mkdirSync(join(root, path, ".."), { recursive: true });
    fs.writeFileSync(join(root, path), text);
  }
  return { root, [Symbol.dispose]: () => fs.rmSync(root, { recursive: true }) };
}

const names = { name: "etcd", pod: "etcd-node-1", namespace: "kube-system" };
const log = `var/log/containers/etcd-node-1_kube-system_etcd-${id}.log`;
const bundle = `run/containerd/io.containerd.runtime.v2.task/k8s.io/${id}/config.json`;
const config = JSON.stringify({
  annotations: {
    "io.kubernetes.cri.container-name": "etcd",
    "io.kubernetes.cri.sandbox-name": "etcd-node-1",
    "io.kubernetes.cri.sandbox-namespace": "kube-system",
  },
});

test("a container is named by its log", (t) => {
  using place = node({ [log]: "" });
  const found = new ContainerNames(place.root).describe({ containerId: id, podUid: "u" }, 0);
  t.deepEqual(found, { id, ...names, podUid: "u" });
});

test("a container without a log is named by its bundle", (t) => {
  using place = node({ [bundle]: config });
  t.deepEqual(new ContainerNames(place.root).describe({ containerId: id }, 0), { id, ...names });
});

test("a container that nothing names has its id, and is looked for again later", (t) => {
  using place = node({});
  const containers = new ContainerNames(place.root);
  t.deepEqual(containers.describe({ containerId: id }, 0), { id });
  fs.mkdirSync(join(place.root, "var/log/containers"), { recursive: true });
  fs.writeFileSync(join(place.root, log), "");
  t.deepEqual(containers.describe({ containerId: id }, 100), { id });
  t.deepEqual(containers.describe({ containerId: id }, 6000), { id, ...names });
});

test("a bundle that is not JSON names nothing and does no harm", (t) => {
  using place = node({ [bundle]: "{" });
  t.deepEqual(new ContainerNames(place.root).describe({ containerId: id }, 0), { id });
});

test("annotations of CRI-O are read too, and other kinds of value are not names", (t) => {
  const crio = {
    "io.kubernetes.cri-o.KubeName": "x",
    "io.kubernetes.pod.name": "p",
    "io.kubernetes.pod.namespace": 7,
  };
  t.deepEqual(parseBundle(JSON.stringify({ annotations: crio })), { name: "x", pod: "p" });
  t.deepEqual(parseBundle("null"), {});
});

test("a log's name is taken apart at its underscores and its id", (t) => {
  t.deepEqual(parseLogName(`a-b_ns_c-d-${id}.log`), {
    id,
    pod: "a-b",
    namespace: "ns",
    name: "c-d",
  });
  t.is(parseLogName("a_b_c-123.log"), undefined);
});
