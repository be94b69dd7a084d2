import test from "ava";
import { chooseCgroup, parseCgroupPath } from "../../src/core/cgroup.ts";

const a = "f52a212505a606972cf8614c3cb856539e71b77ecae33436c5ac442232fbacf8";
const b = "bacb920470900725e0aa7d914fee5eb0854315448b024b6b8420ad8429c607ba";
const uid = "05e102bf-8744-4942-a241-9b6f07983a53";
const under = uid.replaceAll("-", "_");
const staticUid = "39d631b6f0fbc4e261c7a0ee636cf434";

const table: readonly (readonly [string, string, string | undefined, string | undefined])[] = [
  ["cgroupfs, containerd", `/kubepods/besteffort/pod${uid}/${a}`, a, uid],
  ["cgroupfs, CRI-O", `/kubepods/besteffort/pod${uid}/crio-${a}`, a, uid],
  ["cgroupfs, guaranteed", `/kubepods/pod${uid}/${a}`, a, uid],
  [
    "systemd, containerd",
    `/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${under}.slice/cri-containerd-${a}.scope`,
    a,
    uid,
  ],
  ["systemd, CRI-O", `/kubepods.slice/kubepods-pod${under}.slice/crio-${a}.scope`, a, uid],
  [
    "systemd, Docker",
    `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${under}.slice/docker-${a}.scope`,
    a,
    uid,
  ],
  ["a static pod", `/kubepods/burstable/pod${staticUid}/${a}`, a, staticUid],
  [
    "a static pod, systemd",
    `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${staticUid}.slice/cri-containerd-${a}.scope`,
    a,
    staticUid,
  ],
  [
    "runc's colons",
    `/system.slice/containerd.service/kubepods-burstable-pod${under}.slice:cri-containerd:${a}`,
    a,
    uid,
  ],
  [
    "a kubelet in a container: the inner one counts",
    `/docker/${b}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod${under}.slice/cri-containerd-${a}.scope`,
    a,
    uid,
  ],
  ["a cgroup inside a container", `/kubepods/pod${uid}/${a}/nested/deeper`, a, uid],
  ["seen from a cgroup namespace", `/../../pod${uid}/${a}`, a, uid],
  ["plain Docker", `/docker/${a}`, a, undefined],
  [
    "CRI-O's monitor",
    `/kubepods.slice/kubepods-pod${under}.slice/crio-conmon-${a}.scope`,
    undefined,
    undefined,
  ],
  ["Podman", `/machine.slice/libpod-${a}.scope/container`, a, undefined],
  [
    "Podman for a user",
    `/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${a}.scope`,
    a,
    undefined,
  ],
  ["Podman's split cgroup", `/system.slice/web.service/libpod-payload-${a}`, a, undefined],
  ["Podman's monitor", `/machine.slice/libpod-conmon-${a}.scope`, undefined, undefined],
  ["CRI-O's monitor in cgroupfs", `/kubepods/pod${uid}/crio-conmon-${a}`, undefined, undefined],
  ["LXC", "/lxc.payload.web-1/system.slice/ssh.service", "web-1", undefined],
  ["LXC before version 4", "/lxc/web-1/init.scope", "web-1", undefined],
  ["LXC's monitor", "/lxc.monitor.web-1", undefined, undefined],
  ["Docker in LXC: the inner one counts", `/lxc.payload.web/docker/${a}`, a, undefined],
  [
    "systemd-nspawn",
    "/machine.slice/machine-my\\x2dbox.scope/payload/init.scope",
    "my-box",
    undefined,
  ],
  [
    "systemd-nspawn as a service",
    "/machine.slice/systemd-nspawn@box.service/payload",
    "box",
    undefined,
  ],
  ["systemd-nspawn itself", "/machine.slice/machine-box.scope/supervisor", undefined, undefined],
  ["a virtual machine", "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope", undefined, undefined],
  ["a login", "/user.slice/user-1000.slice/session-3.scope", undefined, undefined],
  ["a service", "/system.slice/kubelet.service", undefined, undefined],
  ["the root", "/", undefined, undefined],
  ["a short id", `/kubepods/pod${uid}/abc`, undefined, undefined],
];

for (const [title, path, containerId, podUid] of table)
  test(`cgroup of ${title}`, (t) => {
    const identity = parseCgroupPath(path);
    t.is(identity?.containerId, containerId);
    t.is(identity?.podUid, podUid);
  });

test("of version 2 the one line counts", (t) => {
  t.is(chooseCgroup("0::/system.slice/ssh.service\n"), "/system.slice/ssh.service");
});

test("of version 1 the line that names a container counts, in a hybrid too", (t) => {
  const text = `12:pids:/kubepods/pod${uid}/${a}\n1:name=systemd:/user.slice\n0::/\n`;
  t.is(chooseCgroup(text), `/kubepods/pod${uid}/${a}`);
  t.is(chooseCgroup("4:pids:/\n3:cpu,cpuacct:/a:b\n"), "/a:b");
});

test("no line is no cgroup", (t) => {
  t.is(chooseCgroup(""), undefined);
});
