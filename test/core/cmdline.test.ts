import test from "ava";
import * as fc from "fast-check";
import { redactArguments } from "../../src/core/cmdline.ts";

const secret = "s3cr3t-VALUE";
const hiding: readonly (readonly string[])[] = [
  ["psql", `--password=${secret}`],
  ["psql", "--password", secret],
  ["kubeadm", "join", "--token", secret, "10.0.0.1:6443"],
  ["tool", `--api-key=${secret}`],
  ["tool", `--client-secret=${secret}`],
  ["env", `AWS_SECRET_ACCESS_KEY=${secret}`, "aws"],
  ["env", `PGPASSWORD=${secret}`],
  ["curl", "-H", `Authorization: Bearer ${secret}`],
  ["curl", "-u", `me:${secret}`],
  ["curl", `https://me:${secret}@host/`],
  ["sh", "-c", `export TOKEN=${secret}; run`],
  ["sh", "-c", `mysql --password ${secret} -e x`],
  ["curl", "-d", `{"password": "${secret}"}`],
  ["kubeadm", "join", "10.0.0.1:6443", "--control-plane", "--certificate-key", secret],
  ["kubeadm", "init", "--upload-certs", `--certificate-key=${secret}`],
  ["kubectl", "create", "secret", "generic", "x", `--from-literal=password=${secret}`],
  ["helm", "--set", `db.adminPassword=${secret},replicas=1`],
  ["env", `MYSQL_PWD=${secret}`, "mysql"],
  ["curl", "-H", `Authorization: token ${secret}`],
  ["curl", "-d", `{"password": "with spaces ${secret}", "a": 1}`],
  ["curl", `-ume:${secret}`],
  ["etcdctl", `--user=root:${secret}`],
  ["kubectl", `eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.${secret}`],
];

for (const args of hiding)
  test(`the secret in "${args.join(" ")}" is hidden`, (t) => {
    const shown = redactArguments(args);
    t.false(shown.join(" ").includes(secret));
    t.is(shown.length, args.length);
    t.is(shown[0], args[0]);
  });

const known: readonly string[] = [
  "abcdef.0123456789abcdef",
  `K10${"0a".repeat(32)}::server:9d3b`,
  `ghp_${"x".repeat(36)}`,
  `glpat-${"x".repeat(20)}`,
];

for (const token of known)
  test(`what is a secret by its form is hidden wherever it is: ${token.slice(0, 10)}`, (t) => {
    t.deepEqual(redactArguments(["tool", token]), ["tool", "***"]);
    t.deepEqual(redactArguments(["sh", "-c", `tool -t ${token} -v`])[2], "tool -t *** -v");
  });

const plain: readonly (readonly string[])[] = [
  ["chmod", "600", "/etc/kubernetes/admin.conf"],
  ["cat", "/etc/passwd"],
  ["passwd", "root"],
  ["kube-apiserver", "--token-auth-file=/etc/t.csv", "--tls-private-key-file=/etc/k.key"],
  ["kube-apiserver", "--tls-private-key-file", "/etc/k.key"],
  ["kubeadm", "--discovery-token-ca-cert-hash", "sha256:00"],
  ["vi", "/root/secret notes"],
  ["cp", "/usr/lib/modules/kernel.0123456789abcdef.ko", "libabc.so.1"],
  ["ls", "-u", "/etc"],
  ["docker", "run", "-u1000:1000", "x"],
  ["env", "PWD=/root", "x"],
  ["docker", "run", "-v", "/run/secrets/token:/x"],
  ["kubelet", "--bootstrap-kubeconfig=/etc/k", "--cert-dir=/var/lib"],
];

for (const args of plain)
  test(`"${args.join(" ")}" is shown as it is`, (t) => {
    t.deepEqual(redactArguments(args), args);
  });

test("redaction neither adds nor removes arguments, and repeating it changes nothing", (t) => {
  fc.assert(
    fc.property(fc.array(fc.string(), { maxLength: 8 }), (args) => {
      const once = redactArguments(args);
      t.is(once.length, args.length);
    }),
  );
  for (const args of hiding)
    t.deepEqual(redactArguments(redactArguments(args)), redactArguments(args));
});

const long = ["token-", "passwordfile-", "-", "token", " --token", 'token="', "a-", "token "];

for (const part of long)
  test(`a command line that is made to be slow to search is redacted in no time: "${part}"`, (t) => {
    const args = Array.from({ length: 8 }, () => part.repeat(32_768).slice(0, 32_768));
    // Not the clock's time, which others on the machine take too.
    const before = process.cpuUsage();
    t.is(redactArguments(args).length, 8);
    const { user, system } = process.cpuUsage(before);
    t.true(user + system < 100_000, `${user + system} microseconds`);
  });
