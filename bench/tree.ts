import { createCipheriv, createHash } from "node:crypto";
import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";

const kib = 1024;
const mib = 1024 * kib;

const hex = (number: number): string => number.toString(16).padStart(16, "0");
const zeros = Buffer.alloc(mib);

/**
 * The trees that the benchmarks measure. S: a control-plane node of 1.26 GB (binaries, CNI plugins, etcd) with
 * 1,000 small files; M: 10,000 and L: 100,000 small files of 1 to 16 KiB.
 */
const trees = { S: smallFiles(1000, control()), M: smallFiles(10_000), L: smallFiles(100_000) };

/** Writes a tree below this directory, with the same bytes each time. Returns its files and bytes. */
export function makeTree(name: keyof typeof trees, root: string): { files: number; bytes: number } {
  const files = trees[name];
  let bytes = 0;
  const made = new Set<string>();
  for (const [path, size] of files) {
    const at = join(root, path);
    const dir = dirname(at);
    if (!made.has(dir)) mkdirSync(dir, { recursive: true });
    made.add(dir);
    writeNoise(at, size);
    bytes += size;
  }
  return { files: files.size, bytes };
}

function control(): ReadonlyMap<string, number> {
  const files = new Map<string, number>();
  const binaries = { kubelet: 80, kubeadm: 60, kubectl: 50, containerd: 45, crictl: 40, runc: 10 };
  for (const [name, size] of Object.entries(binaries)) files.set(`usr/bin/${name}`, size * mib);
  for (let at = 0; at < 20; at += 1) files.set(`opt/cni/bin/plugin-${at}`, 5 * mib);
  for (let at = 0; at < 10; at += 1) {
    const segment = `${hex(at)}-${hex(at * 5000)}.wal`;
    files.set(`var/lib/etcd/member/wal/${segment}`, 64_000_000);
  }
  files.set("var/lib/etcd/member/snap/db", 200 * mib);
  return files;
}

/** Adds small files, a hundred to a directory, of sizes that follow from their number. */
function smallFiles(
  count: number,
  others: ReadonlyMap<string, number> = new Map(),
): ReadonlyMap<string, number> {
  const files = new Map(others);
  for (let at = 0; at < count; at += 1) {
    const size = kib + ((at * 7919) % (15 * kib));
    files.set(`etc/kubernetes/files/${Math.floor(at / 100)}/file-${at}.conf`, size);
  }
  return files;
}

/** Bytes that neither compress nor leave holes: AES-CTR keyed by the file's size and name. */
function writeNoise(path: string, size: number): void {
  const name = path.slice(path.lastIndexOf("/"));
  const key = createHash("sha256").update(`${name} ${size}`).digest();
  const cipher = createCipheriv("aes-256-ctr", key, Buffer.alloc(16));
  const fd = openSync(path, "w", 0o600);
  try {
    for (let left = size; left > 0; left -= mib) {
      writeSync(fd, cipher.update(zeros.subarray(0, Math.min(left, mib))));
    }
  } finally {
    closeSync(fd);
  }
}

if (import.meta.main) {
  const [name = "", root] = process.argv.slice(2);
  if (!(name in trees) || root === undefined) {
    process.stderr.write("usage: node bench/tree.ts S|M|L DIRECTORY\n");
    process.exitCode = 2;
  } else {
    const { files, bytes } = makeTree(name as keyof typeof trees, root);
    process.stdout.write(`${files} files, ${(bytes / 1e9).toFixed(2)} GB below ${root}\n`);
  }
}
