/**
 * How far the data of an etcd member has come. Segments of its write-ahead log are named "<sequence>-<index>", its
 * snapshots "<term>-<index>", in hex of one length: the names only rise (etcd, server/storage/wal and etcdserver/api/snap).
 */
export interface EtcdMarks {
  /** Name of the newest segment. */
  readonly wal: string;
  /** Name of the newest snapshot. Absent: none yet. */
  readonly snapshot?: string;
}

/** Where etcd of a kubeadm cluster keeps its data. */
export const etcdMember = "/var/lib/etcd/member";

const name = "([0-9a-f]{16}-[0-9a-f]{16})";
const segment = new RegExp(`^${etcdMember}/wal/${name}\\.wal$`);
const snapshot = new RegExp(`^${etcdMember}/snap/${name}\\.snap$`);

/** The marks by the names of the member's files. Undefined: this node has no member. */
export function etcdMarks(paths: Iterable<string>): EtcdMarks | undefined {
  const known = [...paths];
  const wal = newest(known, segment);
  const snap = newest(known, snapshot);
  if (wal === undefined) return undefined;
  return { wal, ...(snap !== undefined && { snapshot: snap }) };
}

function newest(paths: readonly string[], pattern: RegExp): string | undefined {
  return paths
    .flatMap((path) => pattern.exec(path)?.[1] ?? [])
    .toSorted()
    .at(-1);
}

/** Why the later marks show data that were put back or replaced. Undefined: they went on. */
export function etcdSetBack(
  before: EtcdMarks | undefined,
  after: EtcdMarks | undefined,
): string | undefined {
  if (!before) return undefined;
  if (!after) return "the data of its etcd member is gone";
  if (after.wal < before.wal)
    return `its etcd's log went back from segment ${before.wal} to ${after.wal}`;
  const [old = "", present = ""] = [before.snapshot, after.snapshot];
  return present < old
    ? `its etcd's snapshots went back from ${old} to ${present === "" ? "none" : present}`
    : undefined;
}
