import type { ExecutionContext } from "ava";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Authorities } from "../../src/deliver/authorities.ts";
import { Poster } from "../../src/deliver/http.ts";
import { missingProgram } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";
import { peerThat, status } from "../helpers/peer.ts";
import { issue } from "../helpers/pki.ts";

const message = { headers: {}, body: Buffer.from("{}") };
const never = new AbortController().signal;
const withOpenssl = needing(missingProgram("openssl"));

function makeAuthority() {
  const authority = issue({ subject: "/CN=lab CA", usage: "CA" });
  const names = ["IP:127.0.0.1"];
  const { key, certificate } = issue({ subject: "/CN=x", usage: ["serverAuth"], names }, authority);
  return { pem: authority.certificate, tls: { key, cert: certificate } };
}

function fileWith(t: ExecutionContext, text: string): string {
  const dir = mkdtempSync(join(tmpdir(), "fim-ca-"));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const file = join(dir, "ca.pem");
  writeFileSync(file, text);
  return file;
}

withOpenssl(
  "authorities that are renewed in their file are used from the next request on",
  async (t) => {
    const [first, second] = [makeAuthority(), makeAuthority()];
    const file = fileWith(t, first.pem);
    await using old = await peerThat(status(204), { tls: first.tls });
    await using renewed = await peerThat(status(204), { tls: second.tls });
    using toOld = new Poster({ url: old.url, ca: file });
    using toRenewed = new Poster({ url: renewed.url, ca: file });
    t.deepEqual(await toOld.post(message, never), { kind: "status", status: 204 });
    t.is((await toRenewed.post(message, never))?.kind, "network");
    writeFileSync(file, second.pem);
    t.deepEqual(await toRenewed.post(message, never), { kind: "status", status: 204 });
    t.is((await toOld.post(message, never))?.kind, "network", "a kept connection is not used");
  },
);

withOpenssl("a file that was spoilt leaves the authorities that were read before", (t) => {
  const { pem } = makeAuthority();
  const file = fileWith(t, pem);
  const authorities = new Authorities(file);
  for (const text of ["", "-----BEGIN CERTIFICATE-----\nMIIB"]) {
    writeFileSync(file, text);
    t.is(authorities.pem.toString(), pem);
    t.throws(() => new Authorities(file), { message: /ca\.pem: holds no certificate/ });
  }
  rmSync(file);
  t.is(authorities.pem.toString(), pem);
  t.throws(() => new Authorities(file), { message: /ca\.pem: cannot be read/ });
});

withOpenssl("a tunnel that a proxy never opened does not hold up the next request", async (t) => {
  const { pem, tls } = makeAuthority();
  await using peer = await peerThat(status(204), { tls });
  const sockets: Socket[] = [];
  const proxy = createServer((socket) => {
    socket.on("error", () => undefined);
    if (sockets.push(socket) === 1) return;
    socket.once("data", () => {
      const onward = connect(peer.port, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
        onward.pipe(socket).pipe(onward);
      });
      onward.on("error", () => undefined);
    });
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  const { port } = proxy.address() as AddressInfo;
  const address = `http://127.0.0.1:${port}`;
  using hasty = new Poster({ url: peer.url, ca: fileWith(t, pem), proxy: address, timeout: 2000 });
  t.is((await hasty.post(message, never))?.kind, "timeout");
  t.deepEqual(await hasty.post(message, never), { kind: "status", status: 204 });
});
