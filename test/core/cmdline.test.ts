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
  ["kubectl", `eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.${secret}`],
];

for (const args of hiding)
  test(`the secret in "${args.join(" ")}" is hidden`, (t) => {
    const shown = redactArguments(args);
    t.false(shown.join(" ").includes(secret));
    t.is(shown.length, args.length);
    t.is(shown[0], args[0]);
  });

const plain: readonly (readonly string[])[] = [
  ["chmod", "600", "/etc/kubernetes/admin.conf"],
  ["cat", "/etc/passwd"],
  ["passwd", "root"],
  ["kube-apiserver", "--token-auth-file=/etc/t.csv", "--tls-private-key-file=/etc/k.key"],
  ["kube-apiserver", "--tls-private-key-file", "/etc/k.key"],
  ["kubeadm", "--discovery-token-ca-cert-hash", "sha256:00"],
  ["vi", "/root/secret notes"],
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
