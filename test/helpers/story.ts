import { randomBytes } from "node:crypto";
import { toEvent } from "../../src/core/record/alert.ts";
import type { FoldedChange, JudgedChange } from "../../src/core/change/change.ts";
import type { Actor } from "../../src/core/change/hint.ts";
import type { RecordKind } from "../../src/core/record/chain.ts";
import { uuidv7 } from "../../src/core/uuid.ts";
import { eventContext, judgedOf, seen } from "./judged.ts";

type Changes = Partial<JudgedChange | FoldedChange>;

interface Entry {
  readonly kind: RecordKind;
  readonly body: unknown;
}

/** An alert as an agent on this node writes it. A sweep names no process. */
export function alertOf(node: string, changes: Changes = {}): Entry {
  const now = Date.now();
  const uid = uuidv7({ at: now, count: 0 }, randomBytes(8));
  const { actor, ...judged } = judgedOf({ at: now, ...changes });
  const known = judged.engine === "sweep" || !actor ? judged : { ...judged, actor };
  return { kind: "alert", body: toEvent(known, eventContext({ uid, node, now })) };
}

export function uidOf({ body }: Entry): string {
  return (body as { readonly metadata: { readonly uid: string } }).metadata.uid;
}

/** Names that try to be markup, to turn the direction of what follows, to fill lines, to hide. */
export const hostileNames: readonly string[] = [
  "<img src=x onerror=document.body.dataset.owned=1>.yaml",
  "\u202egpj.exe",
  "a\n/etc/passwd deleted by root",
  `long-${"x".repeat(180)}-end.yaml`,
  "\u200bhidden\u00a0space\u0000\u001b[31m",
  "'; document.body.dataset.owned=1; '",
];

const intruder: Actor = {
  pid: 70_114,
  comm: "sh",
  exe: "/bin/sh",
  cmdline: ["sh", "-c", "cp /tmp/evil.yaml /host/etc/kubernetes/manifests/"],
  uid: 0,
  loginUid: 4_294_967_295,
  ancestry: ["runc", "containerd-shim", "systemd"],
  container: {
    id: "6f1d2c9b8a7e6f1d2c9b8a7e6f1d2c9b8a7e6f1d2c9b8a7e6f1d2c9b8a7e6f1d",
    name: "c",
    pod: "intruder",
    namespace: "default",
  },
};

/** A pod that escapes: it puts a manifest where the kubelet runs it. */
export function intrusion(node: string): Entry {
  return alertOf(node, {
    change: {
      kind: "created",
      path: "/etc/kubernetes/manifests/evil.yaml",
      after: seen({ mode: 0o644, size: 812 }),
    },
    actor: intruder,
    why: "The kubelet runs whatever is written here, as root, without asking the API server.",
    meaning: ["the kubelet will run image attacker/x as root with hostPID"],
  });
}

/** What a busy night leaves: one of each, with the hours before now at which it happened. */
export function busyNight(node: string): readonly Entry[] {
  const hour = 3_600_000;
  const at = (hours: number): number => Date.now() - hours * hour;
  const apt = {
    comm: "dpkg",
    exe: "/usr/bin/dpkg",
    pid: 991,
    uid: 0,
    ancestry: ["apt-get", "bash"],
  };
  const updated = (name: string, index: number): Changes => ({
    change: {
      kind: "modified",
      path: `/usr/bin/${name}`,
      fields: ["content", "mtime"],
      before: seen(),
      after: seen({ size: 3200 + index }),
    },
    rule: "linux/programs",
    severity: "medium",
    actor: apt,
    incident: "apt-1",
    at: at(20),
  });
  return [
    ...["ssh", "scp", "sftp", "ssh-keygen"].map((name, index) =>
      alertOf(node, updated(name, index)),
    ),
    alertOf(node, {
      change: {
        kind: "modified",
        path: "/etc/kubernetes/admin.conf",
        fields: ["mode", "owner"],
        before: seen(),
        after: seen({ mode: 0o644, uid: 1000 }),
      },
      rule: "kubeadm/admin-kubeconfigs",
      severity: "high",
      at: at(9),
    }),
    alertOf(node, {
      change: { kind: "deleted", path: "/var/log/audit/audit.log", before: seen() },
      rule: "linux/audit-logs",
      severity: "high",
      actor: { pid: 5120, candidates: ["/usr/bin/rm", "/usr/bin/bash"], uid: 0, loginUid: 1000 },
      at: at(5),
    }),
    alertOf(node, {
      change: { kind: "created", path: "/etc/cron.d/update", after: seen({ mode: 0o755 }) },
      rule: "linux/cron",
      severity: "medium",
      offline: true,
      engine: "sweep",
      at: at(3),
    }),
    alertOf(node, {
      change: {
        kind: "modified",
        path: "/etc/motd",
        fields: ["mtime"],
        before: seen(),
        after: seen(),
      },
      rule: "linux/etc",
      severity: "low",
      at: at(2),
    }),
  ];
}

/** Someone encrypts what is in the way: one incident of many changes, and single ones between. */
export function storm(node: string): readonly Entry[] {
  const locker: Actor = {
    pid: 8812,
    exe: "/tmp/.x/lock",
    cmdline: ["/tmp/.x/lock", "/etc"],
    uid: 0,
    loginUid: 1000,
    ancestry: ["bash", "sshd", "systemd"],
  };
  const encrypted = Array.from({ length: 120 }, (_, at) =>
    alertOf(node, {
      change: {
        kind: "modified",
        path: `/etc/kubernetes/pki/file-${at}.crt`,
        fields: ["content"],
        before: seen(),
        after: seen({ size: 4096 + at }),
      },
      rule: "kubeadm/certificates",
      severity: at === 60 ? "critical" : "high",
      actor: locker,
      incident: "storm-1",
    }),
  );
  const single = (name: string): Entry =>
    alertOf(node, {
      change: { kind: "deleted", path: `/etc/cron.d/${name}`, before: seen() },
      rule: "linux/cron",
      severity: "medium",
      actor: locker,
    });
  return [...encrypted, ...["backup", "audit", "rotate"].map(single)];
}
