import test from "ava";
import { execFileSync } from "node:child_process";
import {
  X509Certificate,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
} from "node:crypto";
import { globSync, lstatSync, readFileSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";
import { runAgent, startWatch } from "./helpers/agent.ts";
import { etcdMissing, startEtcd } from "./helpers/etcd.ts";
import { post } from "./helpers/http.ts";
import { needing } from "./helpers/needs.ts";
import { issue, readAuthority, renewLeaf, rotateKubelet } from "./helpers/pki.ts";
import { startReceiver } from "./helpers/receiver.ts";
import { makeControlPlane, makePlace } from "./helpers/tree.ts";
import { until } from "./helpers/wait.ts";

const pki = "/etc/kubernetes/pki";
const read = (path: string): string => readFileSync(path, "utf8");

test("the tree of a control plane has the modes that kubeadm gives", (t) => {
  using place = makePlace();
  makeControlPlane(place.dir);
  const lines = read(join(import.meta.dirname, "fixtures/kubeadm/modes.txt"))
    .trimEnd()
    .split("\n");
  t.is(lines.length, 37);
  for (const line of lines) {
    const [kind, mode = "", , path = ""] = line.split(" ");
    const seen = lstatSync(place.at(path));
    t.is((seen.mode & 0o7777).toString(8), mode, path);
    t.is(seen.isDirectory(), kind === "d", path);
  }
  t.is(statSync(place.at("/var/lib/etcd")).mode & 0o7777, 0o700);
  t.is(statSync(place.at("/usr/bin/kubelet")).size, 256 * 1024);
  t.notDeepEqual(
    readFileSync(place.at("/usr/bin/kubelet")),
    readFileSync(place.at("/usr/bin/kubeadm")),
  );
});

test("every certificate of the tree is signed by the authority that kubeadm would use", (t) => {
  using place = makePlace();
  makeControlPlane(place.dir);
  const signers = {
    "etcd/": "etcd/ca",
    "apiserver-etcd": "etcd/ca",
    "front-proxy": "front-proxy-ca",
  };
  const files = globSync("**/*.crt", { cwd: place.at(pki) });
  t.is(files.length, 10);
  for (const file of files) {
    const certificate = new X509Certificate(read(place.at(`${pki}/${file}`)));
    const key = createPrivateKey(read(place.at(`${pki}/${file.replace(".crt", ".key")}`)));
    t.true(certificate.checkPrivateKey(key), file);
    const signer = Object.entries(signers).find(([prefix]) => file.startsWith(prefix))?.[1] ?? "ca";
    const ca = new X509Certificate(readAuthority(place.dir, signer).certificate);
    t.true(certificate.checkIssued(ca) && certificate.verify(ca.publicKey), file);
    t.is(certificate.ca, /(^|\/|-)ca\.crt$/.test(file), file);
  }
  const apiserver = new X509Certificate(read(place.at(`${pki}/apiserver.crt`)));
  t.is(apiserver.checkHost("kubernetes.default.svc"), "kubernetes.default.svc");
  t.deepEqual(apiserver.keyUsage, ["1.3.6.1.5.5.7.3.1"]);
  const pub = createPublicKey(read(place.at(`${pki}/sa.pub`)));
  t.true(pub.equals(createPublicKey(read(place.at(`${pki}/sa.key`)))));
});

test("the kubelet's current certificate is an absolute link, and admin.conf holds its own", (t) => {
  using place = makePlace();
  makeControlPlane(place.dir);
  const target = readlinkSync(place.at("/var/lib/kubelet/pki/kubelet-client-current.pem"));
  t.regex(target, /^\/var\/lib\/kubelet\/pki\/kubelet-client-.*\.pem$/);
  t.regex(
    new X509Certificate(read(place.at(target))).subject,
    /O=system:nodes\nCN=system:node:cp-1/,
  );
  const data = /client-certificate-data: (\S+)/.exec(
    read(place.at("/etc/kubernetes/admin.conf")),
  )?.[1];
  const admin = new X509Certificate(Buffer.from(data ?? "", "base64"));
  t.regex(admin.subject, /O=system:masters\nCN=kubernetes-admin/);
  t.true(admin.verify(new X509Certificate(readAuthority(place.dir, "ca").certificate).publicKey));
});

test("a renewal keeps inode, mode and subject, and a rotation moves the link to a new file", (t) => {
  using place = makePlace();
  makeControlPlane(place.dir);
  const file = place.at(`${pki}/apiserver.crt`);
  const [before, old] = [statSync(file), new X509Certificate(read(file))];
  renewLeaf(place.dir, "apiserver");
  const [after, renewed] = [statSync(file), new X509Certificate(read(file))];
  t.is(after.ino, before.ino);
  t.is(after.mode, before.mode);
  t.is(renewed.subject, old.subject);
  t.is(renewed.subjectAltName, old.subjectAltName);
  t.not(renewed.fingerprint256, old.fingerprint256);
  const link = place.at("/var/lib/kubelet/pki/kubelet-client-current.pem");
  const target = readlinkSync(link);
  rotateKubelet(place.dir, "2026-06-01-00-00-00");
  t.not(readlinkSync(link), target);
  t.true(lstatSync(place.at(target)).isFile());
});

test("a certificate can be issued by a stranger, who is not the cluster's authority", (t) => {
  using place = makePlace();
  makeControlPlane(place.dir);
  const stranger = issue({ subject: "/CN=kubernetes", usage: "CA" });
  const forged = issue(
    { subject: "/O=system:masters/CN=mallory", usage: ["clientAuth"], days: 9999 },
    stranger,
  );
  const certificate = new X509Certificate(forged.certificate);
  t.false(
    certificate.verify(new X509Certificate(readAuthority(place.dir, "ca").certificate).publicKey),
  );
  t.true(certificate.verify(new X509Certificate(stranger.certificate).publicKey));
  t.notThrows(() => execFileSync("openssl", ["x509", "-noout"], { input: forged.certificate }));
});

const secret = `whsec_${Buffer.alloc(24, 7).toString("base64")}`;

async function send(url: string, id: string, key: string = secret): Promise<number> {
  const seconds = Math.floor(Date.now() / 1000);
  const body = JSON.stringify({
    type: "fim.test",
    timestamp: new Date().toISOString(),
    data: { id },
  });
  const hook = new Webhook(key);
  const headers = {
    "webhook-id": id,
    "webhook-timestamp": String(seconds),
    "webhook-signature": hook.sign(id, new Date(seconds * 1000), body),
  };
  return (await post(url, body, headers)).status;
}

test("the receiver accepts what the reference library signed, and each id once", async (t) => {
  await using receiver = await startReceiver({ secrets: [secret] });
  for (const id of ["a", "b", "a", "c"]) t.is(await send(receiver.url, id), 204);
  await receiver.until((accepted) => accepted.length === 3);
  t.deepEqual(
    receiver.accepted().map(({ id }) => id),
    ["a", "b", "c"],
  );
  t.deepEqual(receiver.accepted()[1]?.data, { id: "b" });
  t.is(receiver.requests.length, 4);
});

test("the receiver refuses another's signature, an unsigned request and an old one", async (t) => {
  await using receiver = await startReceiver({ secrets: [secret] });
  const stranger = `whsec_${Buffer.alloc(24, 8).toString("base64")}`;
  t.is(await send(receiver.url, "a", stranger), 401);
  t.is((await post(receiver.url, "{}")).status, 401);
  const old = {
    "webhook-id": "a",
    "webhook-timestamp": "1000000000",
    "webhook-signature": "v1,AAAA",
  };
  t.is((await post(receiver.url, "{}", old)).status, 401);
  t.deepEqual(receiver.accepted(), []);
  t.deepEqual(
    receiver.requests.map(({ fault }) => fault),
    ["no v1 signature by a known secret", "no webhook-id", "webhook-timestamp too far off"],
  );
});

test("the receiver verifies an Ed25519 signature with the bare public key", async (t) => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const raw = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
  await using receiver = await startReceiver({ publicKeys: [`whpk_${raw.toString("base64")}`] });
  const body = JSON.stringify({ type: "fim.test", timestamp: new Date().toISOString(), data: {} });
  const seconds = String(Math.floor(Date.now() / 1000));
  const signature = sign(null, Buffer.from(`a.${seconds}.${body}`), privateKey).toString("base64");
  const headers = { "webhook-id": "a", "webhook-timestamp": seconds };
  const good = { ...headers, "webhook-signature": `v1,AAAA v1a,${signature}` };
  t.is((await post(receiver.url, body, good)).status, 204);
  t.is((await post(receiver.url, `${body} `, good)).status, 401);
});

test("the receiver answers as it was configured: a status, late, half, or not at all", async (t) => {
  await using receiver = await startReceiver({ secrets: [secret] });
  receiver.answer((number) =>
    number === 0 ? { status: 503, headers: { "retry-after": "1" } } : { delay: 20 },
  );
  t.is(await send(receiver.url, "a"), 503);
  t.is(await send(receiver.url, "a"), 204);
  receiver.answer("close");
  await t.throwsAsync(send(receiver.url, "b"));
  receiver.answer("close-mid-body");
  await t.throwsAsync(send(receiver.url, "b"));
  receiver.answer("hang");
  const hanging = send(receiver.url, "b");
  const ended = t.throwsAsync(hanging);
  await until(() => receiver.requests.length === 5);
  t.deepEqual(
    receiver.accepted().map(({ id }) => id),
    ["a"],
  );
  await receiver.stop();
  await ended;
  await using again = await startReceiver({ port: receiver.port });
  t.is(await send(again.url, "b"), 204);
});

needing(etcdMissing)(
  "a real etcd can be filled, compacted, defragmented, saved and killed",
  async (t) => {
    using place = makePlace();
    const dataDir = place.at("/etcd");
    const args = ["--snapshot-count=20"];
    await using etcd = await startEtcd({ dataDir, args });
    await etcd.put("/registry/a", "1");
    await etcd.load(30, 100);
    const revision = await etcd.revision();
    t.is(revision, 32);
    await etcd.compact(revision);
    await etcd.defragment();
    await etcd.snapshot(place.at("/saved.db"));
    t.true(statSync(place.at("/saved.db")).size > 0);
    t.true(statSync(join(dataDir, "member/snap/db")).isFile());
    await etcd.stop("SIGKILL");
    await using again = await startEtcd({ dataDir, args });
    t.is(await again.revision(), revision);
    await again.stop();
  },
);

/** A stand-in for the agent: it listens where it is reported, logs, and ends as it is asked. */
const standIn = `#!${process.execPath}
const { createServer } = require("node:http");
const args = process.argv.slice(2);
const [host, port] = args[args.indexOf("--listen") + 1].split(":");
const config = args.includes("--config") ? require("node:fs").readFileSync(args[args.indexOf("--config") + 1], "utf8") : "";
if (config.includes("refuse")) { console.error("fim-agent: no baseline"); process.exit(3); }
console.error(JSON.stringify({ level: 30, msg: "started", args, config }));
let asked = 0;
createServer((request, response) => {
  if (request.url === "/readyz") response.statusCode = asked++ < 2 ? 503 : 200;
  response.end('# HELP x y\\nfim_hints_total{engine="fanotify"} 3\\nfim_outbox_records 0\\n');
}).listen(Number(port), host);
process.on("SIGTERM", () => process.exit(0));
`;

test("a watch is handed out when it is ready, with its logs, metrics and exit code", async (t) => {
  using place = makePlace();
  const program = place.at("/agent");
  writeFileSync(program, standIn, { mode: 0o755 });
  const options = { root: place.at("/root"), state: place.at("/state"), program };
  await using watching = await startWatch({ ...options, engine: "sweep", config: { watch: {} } });
  const [started] = watching.logs();
  t.is(started?.["config"], '{"watch":{}}');
  t.regex(String(started?.["args"]), /--engine,sweep/);
  const metrics = await watching.metrics();
  t.is(metrics.get('fim_hints_total{engine="fanotify"}'), 3);
  t.is(metrics.get("fim_outbox_records"), 0);
  t.is(await watching.stop(), 0);
  const refused = startWatch({ ...options, config: { refuse: true } });
  const { message } = (await t.throwsAsync(refused)) ?? new Error("none");
  t.regex(message, /fim-agent: no baseline/);
  const second = await startWatch(options);
  await second.kill9();
  t.throws(() => process.kill(second.pid, 0));
});

test("the agent is run to its end through its launcher, with none of this process's settings", async (t) => {
  process.env["FIM_LOG_LEVEL"] = "no such level";
  const version = await runAgent(["--version"]);
  t.is(version.code, 0, version.stderr);
  t.regex(version.stdout, /^\d+\.\d+\.\d+\n$/);
  const wrong = await runAgent(["no-such-command"], { env: { FIM_FORMAT: "json" } });
  t.is(wrong.code, 2);
  t.regex(wrong.stderr, /^fim-agent: .+/);
  t.is(wrong.stdout, "");
});
