import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** What a certificate says of its holder. */
interface Certificate {
  /** As openssl takes it: "/O=system:masters/CN=kubernetes-admin". */
  readonly subject: string;
  /** "CA", or the extended key usages. */
  readonly usage: "CA" | readonly ("serverAuth" | "clientAuth")[];
  /** "DNS:name" or "IP:address". */
  readonly names?: readonly string[];
  readonly days?: number;
}

interface Issued {
  readonly certificate: string;
  readonly key: string;
}

/** Makes a P-256 key and a certificate for it with openssl, signed by this authority or else by itself. */
export function issue(wanted: Certificate, authority?: Issued): Issued {
  const dir = mkdtempSync(join(tmpdir(), "fim-issue-"));
  const at = (name: string): string => join(dir, name);
  try {
    writeFileSync(at("config"), configOf(wanted));
    const request = ["req", "-x509", "-sha256", "-config", at("config"), "-subj", wanted.subject];
    const key = [
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-keyout",
      at("key"),
    ];
    const signer: string[] = [];
    if (authority) {
      writeFileSync(at("ca.crt"), authority.certificate);
      writeFileSync(at("ca.key"), authority.key, { mode: 0o600 });
      signer.push("-CA", at("ca.crt"), "-CAkey", at("ca.key"));
    }
    const days = ["-days", String(wanted.days ?? (wanted.usage === "CA" ? 3650 : 365))];
    execFileSync("openssl", [...request, ...key, ...signer, ...days, "-out", at("crt")], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    return { certificate: readFileSync(at("crt"), "utf8"), key: readFileSync(at("key"), "utf8") };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function configOf({ usage, names }: Certificate): string {
  const lines = [
    "[req]",
    "distinguished_name = subject",
    "x509_extensions = extensions",
    "[subject]",
    "[extensions]",
  ];
  if (usage === "CA") {
    lines.push("keyUsage = critical,digitalSignature,keyEncipherment,keyCertSign");
    lines.push("basicConstraints = critical,CA:true", "subjectKeyIdentifier = hash");
  } else {
    lines.push("keyUsage = critical,digitalSignature,keyEncipherment");
    lines.push(`extendedKeyUsage = ${usage.join(",")}`, "basicConstraints = critical,CA:false");
    lines.push("authorityKeyIdentifier = keyid");
  }
  if (names) lines.push(`subjectAltName = ${names.join(",")}`);
  return `${lines.join("\n")}\n`;
}

const node = "cp-1";
const address = "10.77.0.1";
const own = [`DNS:${node}`, "DNS:localhost", `IP:${address}`, "IP:127.0.0.1", "IP:::1"];
const service = "kubernetes.default.svc.cluster.local".split(".");

/** The authorities of kubeadm, below /etc/kubernetes/pki. */
const authorities: Readonly<Record<string, Certificate>> = {
  ca: { subject: "/CN=kubernetes", usage: "CA", names: ["DNS:kubernetes"] },
  "front-proxy-ca": { subject: "/CN=front-proxy-ca", usage: "CA", names: ["DNS:front-proxy-ca"] },
  "etcd/ca": { subject: "/CN=etcd-ca", usage: "CA", names: ["DNS:etcd-ca"] },
};

const client = (subject: string, ca = "ca"): Certificate & { readonly ca: string } => ({
  subject,
  usage: ["clientAuth"],
  ca,
});
const peer = {
  subject: `/CN=${node}`,
  usage: ["serverAuth", "clientAuth"],
  names: own,
  ca: "etcd/ca",
} as const;

/** The leaves of kubeadm, below /etc/kubernetes/pki, and who signs them. */
const leaves: Readonly<Record<string, Certificate & { readonly ca: string }>> = {
  apiserver: {
    subject: "/CN=kube-apiserver",
    usage: ["serverAuth"],
    names: [
      `DNS:${node}`,
      ...[1, 2, 3, 5].map((length) => `DNS:${service.slice(0, length).join(".")}`),
      "IP:10.96.0.1",
      `IP:${address}`,
    ],
    ca: "ca",
  },
  "apiserver-kubelet-client": client("/O=system:masters/CN=kube-apiserver-kubelet-client"),
  "apiserver-etcd-client": client("/O=system:masters/CN=kube-apiserver-etcd-client", "etcd/ca"),
  "front-proxy-client": client("/CN=front-proxy-client", "front-proxy-ca"),
  "etcd/server": peer,
  "etcd/peer": peer,
  "etcd/healthcheck-client": client("/O=system:masters/CN=kube-etcd-healthcheck-client", "etcd/ca"),
};

const users: Readonly<Record<string, { readonly user: string; readonly subject: string }>> = {
  admin: { user: "kubernetes-admin", subject: "/O=system:masters/CN=kubernetes-admin" },
  "controller-manager": {
    user: "system:kube-controller-manager",
    subject: "/CN=system:kube-controller-manager",
  },
  scheduler: { user: "system:kube-scheduler", subject: "/CN=system:kube-scheduler" },
};

/** The subject of the kubelet's client certificate. */
const kubeletSubject = `/O=system:nodes/CN=system:node:${node}`;

const currentPem = "/var/lib/kubelet/pki/kubelet-client-current.pem";

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** A kubeconfig as kubeadm writes it: with its certificate inside, or naming the kubelet's rotating file. */
function kubeconfig(user: string, ca: string, credentials?: Issued): string {
  const lines = credentials
    ? [
        `client-certificate-data: ${base64(credentials.certificate)}`,
        `client-key-data: ${base64(credentials.key)}`,
      ]
    : [`client-certificate: ${currentPem}`, `client-key: ${currentPem}`];
  return `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: ${base64(ca)}
    server: https://${address}:6443
  name: fim-test
contexts:
- context:
    cluster: fim-test
    user: ${user}
  name: ${user}@fim-test
current-context: ${user}@fim-test
kind: Config
preferences: {}
users:
- name: ${user}
  user:
    ${lines.join("\n    ")}
`;
}

/** A tree with nothing but what is made of keys: /etc/kubernetes/{pki,*.conf} and /var/lib/kubelet/pki. */
function makePki(root: string): void {
  const write = (path: string, text: string, mode: number): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true, mode: 0o755 });
    writeFileSync(join(root, path), text);
    chmodSync(join(root, path), mode);
  };
  const pair = (name: string, { certificate, key }: Issued): void => {
    write(`${name}.crt`, certificate, 0o644);
    write(`${name}.key`, key, 0o600);
  };
  const made = new Map(Object.entries(authorities).map(([name, wanted]) => [name, issue(wanted)]));
  for (const [name, ca] of made) pair(`etc/kubernetes/pki/${name}`, ca);
  for (const [name, { ca, ...wanted }] of Object.entries(leaves)) {
    pair(`etc/kubernetes/pki/${name}`, issue(wanted, made.get(ca)));
  }
  const key = execFileSync("openssl", [
    "genpkey",
    "-algorithm",
    "EC",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
  ]);
  write("etc/kubernetes/pki/sa.key", key.toString(), 0o600);
  const pub = execFileSync("openssl", ["pkey", "-pubout"], { input: key });
  write("etc/kubernetes/pki/sa.pub", pub.toString(), 0o600);
  const ca = made.get("ca");
  for (const [name, { user, subject }] of Object.entries(users)) {
    const credentials = issue({ subject, usage: ["clientAuth"] }, ca);
    write(
      `etc/kubernetes/${name}.conf`,
      kubeconfig(user, ca?.certificate ?? "", credentials),
      0o600,
    );
  }
  write(
    "etc/kubernetes/kubelet.conf",
    kubeconfig(`system:node:${node}`, ca?.certificate ?? ""),
    0o600,
  );
  pair(
    "var/lib/kubelet/pki/kubelet",
    issue({ subject: `/CN=${node}@1`, usage: ["serverAuth"], names: [`DNS:${node}`] }),
  );
  const current = issue({ subject: kubeletSubject, usage: ["clientAuth"] }, ca);
  const stamp = "kubelet-client-2026-01-01-00-00-00.pem";
  write(`var/lib/kubelet/pki/${stamp}`, current.certificate + current.key, 0o600);
  symlinkSync(`/var/lib/kubelet/pki/${stamp}`, join(root, currentPem));
}

const cache = join(import.meta.dirname, "../../node_modules/.cache/fim-agent");
const day = 86_400_000;
const placeOf = (at: number): string => `kubeadm-pki-${new Date(at).toISOString().slice(0, 10)}`;

/** The directory of a tree made by makePki today. Many processes may ask at once. */
export function cachedPki(): string {
  const now = Date.now();
  const place = join(cache, placeOf(now));
  if (existsSync(place)) return place;
  mkdirSync(cache, { recursive: true });
  for (const name of readdirSync(cache)) {
    // Another process may still copy yesterday's.
    if (name < placeOf(now - day)) rmSync(join(cache, name), { recursive: true, force: true });
  }
  const fresh = mkdtempSync(join(cache, "new-"));
  makePki(fresh);
  try {
    renameSync(fresh, place);
  } catch (error) {
    // Another process was faster: its tree is as good.
    rmSync(fresh, { recursive: true, force: true });
    if (!existsSync(place)) throw error;
  }
  return place;
}

/** Renews a leaf as `kubeadm certs renew` does: a new key, the same subject and usages, written over in place. */
export function renewLeaf(root: string, name: string): void {
  const leaf = leaves[name];
  if (!leaf) throw new Error(`no leaf ${name}`);
  const at = (file: string): string => join(root, "etc/kubernetes/pki", file);
  const { ca, ...wanted } = leaf;
  const { certificate, key } = issue(wanted, readAuthority(root, ca));
  writeFileSync(at(`${name}.crt`), certificate);
  writeFileSync(at(`${name}.key`), key);
}

/** Rotates the kubelet's client certificate as the kubelet does: a new file, and the link renamed over the old. */
export function rotateKubelet(root: string, stamp: string): void {
  const dir = "/var/lib/kubelet/pki";
  const file = `${dir}/kubelet-client-${stamp}.pem`;
  const wanted: Certificate = { subject: kubeletSubject, usage: ["clientAuth"] };
  const { certificate, key } = issue(wanted, readAuthority(root, "ca"));
  writeFileSync(join(root, file), certificate + key, { mode: 0o600 });
  const updated = join(root, dir, "kubelet-client-updated.pem");
  symlinkSync(file, updated);
  rmSync(join(root, currentPem));
  renameSync(updated, join(root, currentPem));
}

/** The key pair of an authority of this tree: "ca", "front-proxy-ca" or "etcd/ca". */
export function readAuthority(root: string, name: string): Issued {
  const read = (kind: string): string =>
    readFileSync(join(root, `etc/kubernetes/pki/${name}.${kind}`), "utf8");
  return { certificate: read("crt"), key: read("key") };
}
