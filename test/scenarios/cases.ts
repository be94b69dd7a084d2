import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  closeSync,
  fchmodSync,
  futimesSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { basename, dirname } from "node:path";
import { issue } from "../helpers/pki.ts";
import type { Plane } from "./plane.ts";
import type { Reported } from "./reported.ts";

type Undo = () => void;

/** One kind of tampering, and every change that has to be reported of it: no other, and each once. */
export interface Case {
  readonly title: string;
  readonly act: (plane: Plane) => Undo;
  readonly reported: readonly Reported[];
  /** What still differs from the baseline when it was undone: another inode, since that cannot be put back. */
  readonly left?: readonly Reported[];
  /** What `watch` reports the undoing, where that is a kind of tampering of its own. */
  readonly undone?: readonly Reported[];
}

const python = "/usr/bin/python3";

function run(...[program, ...args]: readonly [string, ...string[]]): void {
  execFileSync(program, args, { stdio: ["ignore", "ignore", "pipe"] });
}

/** With renameat2(2), which Node lacks. */
function exchange(a: string, b: string): void {
  const code = [
    "import ctypes, os, sys",
    "libc = ctypes.CDLL(None, use_errno=True)",
    "a, b = map(os.fsencode, sys.argv[1:])",
    "sys.exit(libc.renameat2(-100, a, -100, b, 2) and ctypes.get_errno())",
  ];
  run(python, "-c", code.join("\n"), a, b);
}

/** Writes the first byte again through a shared mapping. */
function writeMapped(file: string): void {
  const code = [
    "import mmap, sys",
    "with open(sys.argv[1], 'r+b') as f, mmap.mmap(f.fileno(), 0) as m:",
    "    m[0] = m[0] ^ 1",
    "    m.flush()",
  ];
  run(python, "-c", code.join("\n"), file);
}

/** Makes a file without a name, fills it, and only then gives it one: with linkat(2), AT_SYMLINK_FOLLOW. */
function linkNameless(file: string, text: string): void {
  const code = [
    "import ctypes, os, sys",
    "path, text = sys.argv[1:]",
    "fd = os.open(os.path.dirname(path), os.O_TMPFILE | os.O_RDWR, 0o600)",
    "os.write(fd, text.encode())",
    "linkat = ctypes.CDLL(None).linkat",
    "sys.exit(linkat(-100, f'/proc/self/fd/{fd}'.encode(), -100, os.fsencode(path), 0x400))",
  ];
  run(python, "-c", code.join("\n"), file, text);
}

function makeSocket(file: string): void {
  const code = [
    "import os, socket, sys",
    "os.chdir(sys.argv[1])",
    "socket.socket(socket.AF_UNIX).bind(sys.argv[2])",
  ];
  run(python, "-c", code.join("\n"), dirname(file), basename(file));
}

/** Another first byte, and this as well before the file is closed. */
function rewrite(file: string, also: (fd: number) => void): void {
  const fd = openSync(file, "r+");
  writeSync(fd, "!");
  also(fd);
  closeSync(fd);
}

function stampOf(file: string): string {
  const { mtimeNs } = lstatSync(file, { bigint: true });
  return `@${mtimeNs / 1_000_000_000n}.${String(mtimeNs % 1_000_000_000n).padStart(9, "0")}`;
}

function touch(file: string, stamp: string): void {
  run("touch", "-h", "-d", stamp, file);
}

/** Does this to a file's content in place, and knows how to put content and mtime back. */
function inPlace(file: string, change: (file: string) => void): Undo {
  const [bytes, stamp] = [readFileSync(file), stampOf(file)];
  change(file);
  return () => {
    writeFileSync(file, bytes);
    touch(file, stamp);
  };
}

/** Does this to a file, and knows how to make it again in one step: with all that it had but its inode. */
function redo(plane: Plane, path: string, change: (file: string) => void): Undo {
  const [file, copy] = [plane.at(path), plane.outside(`copy${path.replaceAll("/", "-")}`)];
  run("cp", "--archive", "--no-target-directory", file, copy);
  change(file);
  return () => {
    // A name cannot be taken over from a directory.
    if (lstatSync(file, { throwIfNoEntry: false })?.isDirectory())
      rmSync(file, { recursive: true });
    renameSync(copy, file);
  };
}

function putOver(file: string, fresh: string, bytes: Buffer | string): void {
  const { mode } = lstatSync(file);
  writeFileSync(fresh, bytes);
  chmodSync(fresh, mode & 0o7777);
  renameSync(fresh, file);
}

function write(file: string, bytes: string | Buffer, mode = 0o600): Undo {
  writeFileSync(file, bytes, { mode });
  return () => unlinkSync(file);
}

function move(from: string, to: string): Undo {
  renameSync(from, to);
  return () => renameSync(to, from);
}

function chmod(file: string, mode: number): Undo {
  const before = lstatSync(file).mode & 0o7777;
  chmodSync(file, mode);
  return () => chmodSync(file, before);
}

function chown(file: string, uid: number, gid: number): Undo {
  const before = lstatSync(file);
  chownSync(file, uid, gid);
  return () => chownSync(file, before.uid, before.gid);
}

const manifests = "/etc/kubernetes/manifests";
const apiserver = `${manifests}/kube-apiserver.yaml`;
const scheduler = `${manifests}/kube-scheduler.yaml`;
const controllers = `${manifests}/kube-controller-manager.yaml`;
const etcd = `${manifests}/etcd.yaml`;
const pki = "/etc/kubernetes/pki";
const kubeletPki = "/var/lib/kubelet/pki";
const pod = "apiVersion: v1\nkind: Pod\nmetadata: { name: implant }\n";

type More = Omit<Reported, "path" | "change" | "severity" | "fields">;

function modified(
  path: string,
  severity: Reported["severity"],
  fields: NonNullable<Reported["fields"]>,
  more: More = {},
): Reported {
  return { path, change: "modified", fields, severity, ...more };
}

function created(path: string, severity: Reported["severity"], more: More = {}): Reported {
  return { path, change: "created", severity, ...more };
}

function deleted(path: string, severity: Reported["severity"]): Reported {
  return { path, change: "deleted", severity };
}

function renamed(
  from: string,
  path: string,
  more: Omit<Reported, "path" | "from" | "change">,
): Reported {
  return { path, from, change: "renamed", fields: [], ...more };
}

const otherInode = (path: string): Reported => modified(path, "low", ["inode"]);

/** Only content is changed, by each of the ways in which content can change. */
const contents: readonly Case[] = [
  {
    title: "content overwritten in place, size kept",
    act: (plane) =>
      inPlace(plane.at(apiserver), (file) => {
        const fd = openSync(file, "r+");
        writeSync(fd, "#piVersion");
        closeSync(fd);
      }),
    reported: [modified(apiserver, "critical", ["content"])],
  },
  {
    title: "text appended",
    act: (plane) =>
      inPlace(plane.at(scheduler), (file) => appendFileSync(file, "# and one line more\n")),
    reported: [modified(scheduler, "critical", ["content"])],
  },
  {
    title: "a file cut to nothing",
    act: (plane) => inPlace(plane.at(etcd), (file) => truncateSync(file)),
    reported: [modified(etcd, "critical", ["content"], { after: { size: 0 } })],
  },
  {
    title: "a file cut to its first half",
    act: (plane) => inPlace(plane.at("/etc/shadow"), (file) => truncateSync(file, 20)),
    reported: [modified("/etc/shadow", "high", ["content"], { after: { size: 20 } })],
  },
  {
    title: "sed -i",
    act: (plane) =>
      redo(plane, controllers, (file) =>
        run("sed", "-i", "s/--leader-elect=true/--leader-elect=false/", file),
      ),
    reported: [
      modified(controllers, "critical", ["content", "inode"], {
        via: /^\/etc\/kubernetes\/manifests\/sed\w+$/,
      }),
    ],
    left: [otherInode(controllers)],
  },
  {
    title: "a fresh file renamed over a known one, from beside it",
    act: (plane) =>
      redo(plane, apiserver, (file) => putOver(file, plane.at(`${manifests}/.apiserver.tmp`), pod)),
    reported: [
      modified(apiserver, "critical", ["content", "inode"], { via: `${manifests}/.apiserver.tmp` }),
    ],
    left: [otherInode(apiserver)],
  },
  {
    title: "a fresh file renamed over a known one, from outside of what is watched",
    act: (plane) =>
      redo(plane, apiserver, (file) => putOver(file, plane.at("/tmp/fresh.yaml"), pod)),
    reported: [modified(apiserver, "critical", ["content", "inode"])],
    left: [otherInode(apiserver)],
  },
  {
    title: "an editor's save: the old file put aside, a new one written, the old one removed",
    act: (plane) =>
      redo(plane, scheduler, (file) => {
        renameSync(file, `${file}~`);
        writeFileSync(file, pod, { mode: 0o600 });
        unlinkSync(`${file}~`);
      }),
    reported: [modified(scheduler, "critical", ["content", "inode"], { mayVia: `${scheduler}~` })],
    left: [otherInode(scheduler)],
  },
  {
    title: "an account added the way useradd does it: a new passwd renamed over the old",
    act: (plane) =>
      redo(plane, "/etc/passwd", (file) =>
        putOver(file, `${file}+`, `${readFileSync(file, "utf8")}eve:x:0:0::/:/bin/sh\n`),
      ),
    reported: [modified("/etc/passwd", "high", ["content", "inode"], { via: "/etc/passwd+" })],
    left: [otherInode("/etc/passwd")],
  },
  {
    title: "content changed and the mtime put back",
    act: (plane) =>
      inPlace(plane.at("/usr/bin/kubelet"), (file) => {
        const { atime, mtime } = lstatSync(file);
        rewrite(file, (fd) => futimesSync(fd, atime, mtime));
      }),
    reported: [modified("/usr/bin/kubelet", "critical", ["content"])],
  },
  {
    title: "a write through a hard link that lies elsewhere",
    act: (plane) =>
      inPlace(plane.at("/etc/kubernetes/scheduler.conf"), () =>
        appendFileSync(plane.outside("scheduler.conf"), "# through the other name\n"),
      ),
    reported: [modified("/etc/kubernetes/scheduler.conf", "high", ["content"])],
  },
  {
    title: "a write through a memory mapping",
    act: (plane) => inPlace(plane.at("/opt/cni/bin/bridge"), writeMapped),
    reported: [modified("/opt/cni/bin/bridge", "critical", ["content"])],
  },
  {
    title: "content and mode changed at once",
    act: (plane) => {
      const file = plane.at("/var/lib/kubelet/config.yaml");
      const back = inPlace(file, () => rewrite(file, (fd) => fchmodSync(fd, 0o666)));
      return () => {
        back();
        chmodSync(file, 0o644);
      };
    },
    reported: [
      modified("/var/lib/kubelet/config.yaml", "high", ["content", "mode"], {
        before: { mode: "0644" },
        after: { mode: "0666" },
      }),
    ],
  },
  {
    title: "a program removed and another put in its place",
    act: (plane) =>
      redo(plane, "/usr/bin/crictl", (file) => {
        const bytes = randomBytes(4096);
        unlinkSync(file);
        writeFileSync(file, bytes, { mode: 0o755 });
      }),
    reported: [
      modified("/usr/bin/crictl", "critical", ["content", "inode"], { after: { size: 4096 } }),
    ],
    left: [otherInode("/usr/bin/crictl")],
  },
  {
    title: "a file removed and made again with the same content",
    act: (plane) =>
      redo(plane, etcd, (file) => {
        const bytes = readFileSync(file);
        unlinkSync(file);
        writeFileSync(file, bytes, { mode: 0o600 });
      }),
    reported: [otherInode(etcd)],
    left: [otherInode(etcd)],
  },
  {
    title: "a second authority appended to ca.crt",
    act: (plane) =>
      inPlace(plane.at(`${pki}/ca.crt`), (file) =>
        appendFileSync(file, issue({ subject: "/CN=kubernetes", usage: "CA" }).certificate),
      ),
    reported: [modified(`${pki}/ca.crt`, "critical", ["content"])],
  },
  {
    title: "the service accounts' key exchanged for another",
    act: (plane) =>
      redo(plane, `${pki}/sa.key`, (file) =>
        putOver(file, `${file}.new`, issue({ subject: "/CN=sa", usage: "CA" }).key),
      ),
    reported: [
      modified(`${pki}/sa.key`, "critical", ["content", "inode"], { via: `${pki}/sa.key.new` }),
    ],
    left: [otherInode(`${pki}/sa.key`)],
  },
];

/** The content stays as it was. */
const attributes: readonly Case[] = [
  {
    title: "a manifest made readable for all",
    act: (plane) => chmod(plane.at(apiserver), 0o644),
    reported: [
      modified(apiserver, "critical", ["mode"], {
        before: { mode: "0600" },
        after: { mode: "0644" },
      }),
    ],
    undone: [
      modified(apiserver, "info", ["mode"], {
        before: { mode: "0644" },
        after: { mode: "0600" },
      }),
    ],
  },
  {
    title: "a setuid bit",
    act: (plane) => chmod(plane.at("/usr/bin/kubectl"), 0o4755),
    reported: [modified("/usr/bin/kubectl", "critical", ["mode"], { after: { mode: "4755" } })],
  },
  {
    title: "a sticky bit on a directory",
    act: (plane) => chmod(plane.at(manifests), 0o1700),
    reported: [
      modified(manifests, "critical", ["mode"], {
        before: { mode: "0700" },
        after: { mode: "1700" },
      }),
    ],
  },
  {
    title: "a directory made writable for all",
    act: (plane) => chmod(plane.at(pki), 0o777),
    reported: [modified(pki, "high", ["mode"], { after: { mode: "0777" } })],
  },
  {
    title: "a file given to another user and group",
    act: (plane) => chown(plane.at("/etc/kubernetes/admin.conf"), 1000, 1000),
    reported: [
      modified("/etc/kubernetes/admin.conf", "critical", ["owner", "group"], {
        before: { uid: 0, gid: 0 },
        after: { uid: 1000, gid: 1000 },
      }),
    ],
  },
  {
    title: "a file given to another group alone",
    act: (plane) => chown(plane.at(`${pki}/ca.key`), 0, 42),
    reported: [modified(`${pki}/ca.key`, "critical", ["group"], { after: { uid: 0, gid: 42 } })],
  },
  {
    title: "a new modification time and nothing else",
    act: (plane) => {
      const stamp = stampOf(plane.at(scheduler));
      touch(plane.at(scheduler), "2001-02-03T04:05:06.789Z");
      return () => touch(plane.at(scheduler), stamp);
    },
    reported: [
      modified(scheduler, "low", ["mtime"], { after: { mtime: "2001-02-03T04:05:06.789000000Z" } }),
    ],
  },
  {
    title: "a second name for a program, made elsewhere",
    act: (plane) => {
      linkSync(plane.at("/usr/bin/kubeadm"), plane.outside("kubeadm"));
      return () => unlinkSync(plane.outside("kubeadm"));
    },
    reported: [modified("/usr/bin/kubeadm", "low", ["links"], { after: { links: 2 } })],
  },
  {
    title: "an access list that lets one user read a key",
    act: (plane) => {
      const file = plane.at(`${pki}/apiserver.key`);
      run("setfacl", "-m", "u:1000:r", file);
      return () => {
        run("setfacl", "-b", file);
        chmodSync(file, 0o600);
      };
    },
    reported: [
      modified(`${pki}/apiserver.key`, "critical", ["mode", "acl"], {
        before: { mode: "0600" },
        after: { mode: "0640", acl: "user::rw-,user:1000:r--,group::---,mask::r--,other::---" },
      }),
    ],
  },
  {
    title: "an extended attribute",
    act: (plane) => {
      run("setfattr", "-n", "user.note", "-v", "hidden", plane.at(controllers));
      return () => run("setfattr", "-x", "user.note", plane.at(controllers));
    },
    reported: [
      modified(controllers, "critical", ["xattr"], {
        after: { xattrs: { "user.note": createHash("sha256").update("hidden").digest("hex") } },
      }),
    ],
  },
  {
    title: "a capability on a program",
    act: (plane) => {
      run("setcap", "cap_net_raw=ep", plane.at("/opt/cni/bin/portmap"));
      return () => run("setcap", "-r", plane.at("/opt/cni/bin/portmap"));
    },
    reported: [
      modified("/opt/cni/bin/portmap", "critical", ["capabilities"], {
        after: { capabilities: "cap_net_raw=ep" },
      }),
    ],
  },
  ...(["immutable", "append"] as const).map((flag): Case => {
    const path = `${pki}/front-proxy-ca.key`;
    return {
      title: `chattr +${flag[0]}`,
      act: (plane) => {
        run("chattr", `+${flag[0]}`, plane.at(path));
        return () => run("chattr", `-${flag[0]}`, plane.at(path));
      },
      reported: [modified(path, "critical", ["flags"], { after: { flags: [flag] } })],
    };
  }),
];

const longName = `${"n".repeat(250)}.yaml`;
const oddName = "a\nb\t\u001b[31m\u202e.yaml";

/** Things that were not there before. */
const creations: readonly Case[] = [
  ...(
    [
      ["a new static pod", `${manifests}/implant.yaml`, pod, "critical"],
      ["a file whose name begins with a dot", `${manifests}/.implant`, pod, "critical"],
      ["a copy of a manifest beside it", `${apiserver}.bak`, pod, "critical"],
      ["an empty file", `${manifests}/empty.yaml`, "", "critical"],
      ["a manifest that looks like another", `${manifests}/kube-apiserver.yml`, pod, "critical"],
      ["a name of 255 bytes", `${manifests}/${longName}`, pod, "critical"],
      [
        "a name with a line break and control characters",
        `${manifests}/${oddName}`,
        pod,
        "critical",
      ],
      ["a cron job", "/etc/cron.d/backup", "* * * * * root /tmp/x\n", "high"],
      [
        "a kubeconfig in a place of its own",
        "/etc/kubernetes/spare.conf",
        "kind: Config\n",
        "high",
      ],
      ["a CNI plug-in", "/opt/cni/bin/bandwidth", "#!/bin/sh\n", "critical"],
    ] as const
  ).map(([title, path, text, severity]): Case => ({
    title,
    act: (plane) => write(plane.at(path), text),
    reported: [created(path, severity, { after: { type: "file", mode: "0600" } })],
    undone: [deleted(path, severity)],
  })),
  {
    title: "a name that is not UTF-8",
    act: (plane) => {
      const file = Buffer.concat([
        Buffer.from(plane.at(manifests)),
        Buffer.from("/x\xff.yaml", "latin1"),
      ]);
      writeFileSync(file, pod);
      return () => unlinkSync(file);
    },
    reported: [
      created(`${manifests}/x\ufffd.yaml`, "critical", {
        pathBase64: Buffer.from(`${manifests}/x\xff.yaml`, "latin1").toString("base64"),
      }),
    ],
  },
  {
    title: "a file in a new directory whose name is not UTF-8",
    act: (plane) => {
      const dir = Buffer.concat([
        Buffer.from(plane.at(manifests)),
        Buffer.from("/d\xfe", "latin1"),
      ]);
      mkdirSync(dir);
      writeFileSync(Buffer.concat([dir, Buffer.from("/x.yaml")]), pod);
      return () => rmSync(dir, { recursive: true });
    },
    reported: ["", "/x.yaml"].map((rest) =>
      created(`${manifests}/d\ufffd${rest}`, "critical", {
        pathBase64: Buffer.from(`${manifests}/d\xfe${rest}`, "latin1").toString("base64"),
      }),
    ),
  },
  {
    title: "a file that had no name until it was complete",
    act: (plane) => {
      linkNameless(plane.at(`${manifests}/nameless.yaml`), pod);
      return () => unlinkSync(plane.at(`${manifests}/nameless.yaml`));
    },
    reported: [created(`${manifests}/nameless.yaml`, "critical", { after: { size: pod.length } })],
  },
  {
    title: "a tree of directories and files",
    act: (plane) => {
      mkdirSync(plane.at(`${manifests}/more/deep`), { recursive: true });
      writeFileSync(plane.at(`${manifests}/more/a.yaml`), pod);
      writeFileSync(plane.at(`${manifests}/more/deep/b.yaml`), pod);
      return () => rmSync(plane.at(`${manifests}/more`), { recursive: true });
    },
    reported: ["", "/a.yaml", "/deep", "/deep/b.yaml"].map((rest) =>
      created(`${manifests}/more${rest}`, "critical"),
    ),
    undone: ["", "/a.yaml", "/deep", "/deep/b.yaml"].map((rest) =>
      deleted(`${manifests}/more${rest}`, "critical"),
    ),
  },
  {
    title: "a symbolic link",
    act: (plane) => {
      symlinkSync("/tmp/elsewhere.yaml", plane.at(`${manifests}/link.yaml`));
      return () => unlinkSync(plane.at(`${manifests}/link.yaml`));
    },
    reported: [
      created(`${manifests}/link.yaml`, "critical", {
        after: { type: "symlink", target: "/tmp/elsewhere.yaml" },
      }),
    ],
  },
  ...(
    [
      ["a FIFO", "fifo", (file: string) => run("mkfifo", file)],
      ["a socket", "socket", makeSocket],
      ["a character device", "char", (file: string) => run("mknod", file, "c", "1", "3")],
      ["a block device", "block", (file: string) => run("mknod", file, "b", "7", "200")],
    ] as const
  ).map(([title, type, make]): Case => {
    const path = `/etc/kubernetes/odd-${type}`;
    return {
      title,
      act: (plane) => {
        make(plane.at(path));
        return () => unlinkSync(plane.at(path));
      },
      reported: [created(path, "high", { after: { type } })],
    };
  }),
  {
    title: "a drop-in for the kubelet, in a directory that was not there",
    act: (plane) => {
      const dir = "/etc/systemd/system/kubelet.service.d";
      mkdirSync(plane.at(dir));
      writeFileSync(plane.at(`${dir}/20-more.conf`), "[Service]\nExecStartPre=/tmp/x\n");
      return () => rmSync(plane.at(dir), { recursive: true });
    },
    reported: ["", "/20-more.conf"].map((rest) =>
      created(`/etc/systemd/system/kubelet.service.d${rest}`, "high"),
    ),
  },
  {
    title: "authorized_keys in a home that did not exist",
    act: (plane) => {
      mkdirSync(plane.at("/home/admin/.ssh"), { recursive: true });
      writeFileSync(plane.at("/home/admin/.ssh/authorized_keys"), "ssh-ed25519 AAAA eve\n");
      return () => rmSync(plane.at("/home"), { recursive: true });
    },
    reported: ["", "/authorized_keys"].map((rest) => created(`/home/admin/.ssh${rest}`, "high")),
  },
  {
    title: "a plug-in of the runtime in a directory that did not exist, nor the one above it",
    act: (plane) => {
      mkdirSync(plane.at("/opt/nri/plugins"), { recursive: true });
      writeFileSync(plane.at("/opt/nri/plugins/10-more"), "#!/bin/sh\n");
      return () => rmSync(plane.at("/opt/nri"), { recursive: true });
    },
    reported: ["", "/10-more"].map((rest) => created(`/opt/nri/plugins${rest}`, "critical")),
  },
  {
    title: "a directory of the root that did not exist",
    act: (plane) => {
      mkdirSync(plane.at("/boot"));
      writeFileSync(plane.at("/boot/vmlinuz"), "MZ");
      return () => rmSync(plane.at("/boot"), { recursive: true });
    },
    reported: ["", "/vmlinuz"].map((rest) => created(`/boot${rest}`, "medium")),
  },
];

const current = `${kubeletPki}/kubelet-client-current.pem`;

/** Things that are no longer there, or are something else. */
const removals: readonly Case[] = [
  {
    title: "a file removed",
    act: (plane) => redo(plane, `${pki}/apiserver.crt`, unlinkSync),
    reported: [deleted(`${pki}/apiserver.crt`, "critical")],
    left: [otherInode(`${pki}/apiserver.crt`)],
    undone: [created(`${pki}/apiserver.crt`, "info", { after: { mode: "0644" } })],
  },
  {
    title: "a tree removed",
    act: (plane) => {
      rmSync(plane.at(`${pki}/old`), { recursive: true });
      return () => plane.makeOld();
    },
    reported: ["", "/a.crt", "/deep", "/deep/.b.key"].map((rest) =>
      deleted(`${pki}/old${rest}`, rest.endsWith(".key") ? "critical" : "high"),
    ),
    left: ["", "/a.crt", "/deep", "/deep/.b.key"].map((rest) => otherInode(`${pki}/old${rest}`)),
  },
  {
    title: "a symbolic link removed",
    act: (plane) => redo(plane, current, unlinkSync),
    reported: [deleted(current, "high")],
    left: [otherInode(current)],
  },
  {
    title: "a file replaced by a directory with a file in it",
    act: (plane) =>
      redo(plane, "/etc/kubernetes/kubelet.conf", (file) => {
        unlinkSync(file);
        mkdirSync(file, { mode: 0o700 });
        writeFileSync(`${file}/inside`, "x");
      }),
    reported: [
      modified("/etc/kubernetes/kubelet.conf", "high", ["type", "mode"], {
        before: { type: "file" },
        after: { type: "directory", mode: "0700" },
      }),
      created("/etc/kubernetes/kubelet.conf/inside", "high"),
    ],
    left: [otherInode("/etc/kubernetes/kubelet.conf")],
  },
  {
    title: "a file replaced by a symbolic link",
    act: (plane) =>
      redo(plane, "/etc/kubernetes/admin.conf", (file) => {
        unlinkSync(file);
        symlinkSync("/tmp/admin.conf", file);
      }),
    reported: [
      modified("/etc/kubernetes/admin.conf", "critical", ["type"], {
        before: { type: "file" },
        after: { type: "symlink", target: "/tmp/admin.conf" },
      }),
    ],
    left: [otherInode("/etc/kubernetes/admin.conf")],
  },
  {
    title: "a symbolic link pointed elsewhere",
    act: (plane) =>
      redo(plane, current, (file) => {
        symlinkSync("/tmp/other.pem", `${file}.tmp`);
        renameSync(`${file}.tmp`, file);
      }),
    reported: [
      modified(current, "high", ["target", "inode"], {
        via: `${current}.tmp`,
        after: { type: "symlink", target: "/tmp/other.pem" },
      }),
    ],
    left: [otherInode(current)],
  },
  {
    title: "a symbolic link made again with the same target",
    act: (plane) =>
      redo(plane, current, (file) => {
        const target = readlinkSync(file);
        unlinkSync(file);
        symlinkSync(target, file);
      }),
    reported: [otherInode(current)],
    left: [otherInode(current)],
  },
];

const below = ["ca", "healthcheck-client", "peer", "server"].length * 2;

/** The same things under other names. */
const renames: readonly Case[] = [
  {
    title: "a file renamed",
    act: (plane) => move(plane.at(scheduler), plane.at(`${scheduler}.off`)),
    reported: [renamed(scheduler, `${scheduler}.off`, { severity: "critical" })],
    undone: [renamed(`${scheduler}.off`, scheduler, { severity: "info" })],
  },
  {
    title: "a file renamed to where the rule is moreSevere",
    act: (plane) => move(plane.at("/etc/hosts"), plane.at(`${manifests}/hosts.yaml`)),
    reported: [renamed("/etc/hosts", `${manifests}/hosts.yaml`, { severity: "critical" })],
    undone: [renamed(`${manifests}/hosts.yaml`, "/etc/hosts", { severity: "info" })],
  },
  {
    title: "a file renamed out of what is watched",
    act: (plane) => move(plane.at(etcd), plane.at("/tmp/etcd.yaml")),
    reported: [deleted(etcd, "critical")],
    undone: [created(etcd, "info")],
  },
  {
    title: "a file renamed into what is watched",
    act: (plane) => move(plane.outside("stranger.yaml"), plane.at(`${manifests}/stranger.yaml`)),
    reported: [created(`${manifests}/stranger.yaml`, "critical")],
    undone: [deleted(`${manifests}/stranger.yaml`, "critical")],
  },
  {
    title: "a directory with a file renamed into what is watched",
    act: (plane) => move(plane.outside("strangers"), plane.at(`${manifests}/strangers`)),
    reported: ["", "/one.yaml"].map((rest) => created(`${manifests}/strangers${rest}`, "critical")),
    undone: ["", "/one.yaml"].map((rest) => deleted(`${manifests}/strangers${rest}`, "critical")),
  },
  {
    title: "a known file renamed over another known one",
    act: (plane) => {
      const back = redo(plane, scheduler, () => renameSync(plane.at(etcd), plane.at(scheduler)));
      return () => {
        renameSync(plane.at(scheduler), plane.at(etcd));
        back();
      };
    },
    reported: [renamed(etcd, scheduler, { severity: "critical", fields: ["content", "inode"] })],
    left: [otherInode(scheduler)],
  },
  {
    title: "two files exchanged",
    act: (plane) => {
      exchange(plane.at(`${pki}/ca.crt`), plane.at(`${pki}/front-proxy-ca.crt`));
      return () => exchange(plane.at(`${pki}/ca.crt`), plane.at(`${pki}/front-proxy-ca.crt`));
    },
    reported: [
      [`${pki}/ca.crt`, `${pki}/front-proxy-ca.crt`] as const,
      [`${pki}/front-proxy-ca.crt`, `${pki}/ca.crt`] as const,
    ].map(([from, path]) =>
      renamed(from, path, { severity: "critical", fields: ["content", "inode"] }),
    ),
    undone: [
      [`${pki}/ca.crt`, `${pki}/front-proxy-ca.crt`] as const,
      [`${pki}/front-proxy-ca.crt`, `${pki}/ca.crt`] as const,
    ].map(([from, path]) =>
      renamed(from, path, { severity: "critical", fields: ["content", "inode"] }),
    ),
  },
  {
    title: "a directory renamed",
    act: (plane) => move(plane.at(`${pki}/etcd`), plane.at(`${pki}/etcd.off`)),
    reported: [renamed(`${pki}/etcd`, `${pki}/etcd.off`, { severity: "critical", count: below })],
    undone: [renamed(`${pki}/etcd.off`, `${pki}/etcd`, { severity: "critical", count: below })],
  },
];

export const cases: readonly Case[] = [
  ...contents,
  ...attributes,
  ...creations,
  ...removals,
  ...renames,
];
