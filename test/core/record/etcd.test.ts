import test from "ava";
import { etcdMarks, etcdSetBack } from "../../../src/core/record/etcd.ts";

const hex = (at: number): string => at.toString(16).padStart(16, "0");
const wal = (at: number): string => `/var/lib/etcd/member/wal/${hex(at)}-${hex(at * 100)}.wal`;
const snap = (at: number): string => `/var/lib/etcd/member/snap/${hex(2)}-${hex(at)}.snap`;

test("the newest names of a member's files are its marks", (t) => {
  const paths = [wal(9), wal(10), snap(0x1000), snap(0x2000), "/var/lib/etcd/member/wal/0.tmp"];
  t.deepEqual(etcdMarks(paths), {
    wal: `${hex(10)}-${hex(1000)}`,
    snapshot: `${hex(2)}-${hex(0x2000)}`,
  });
  t.is(etcdMarks(["/etc/passwd", snap(1)]), undefined);
});

test("marks that rise or stay are sound; those that go back or vanish are not", (t) => {
  const old = etcdMarks([wal(5), snap(50)]);
  t.is(etcdSetBack(undefined, old), undefined);
  t.is(etcdSetBack(old, old), undefined);
  t.is(etcdSetBack(old, etcdMarks([wal(6), snap(60)])), undefined);
  t.is(etcdSetBack(etcdMarks([wal(1)]), etcdMarks([wal(1), snap(1)])), undefined);
  t.regex(etcdSetBack(old, etcdMarks([wal(4), snap(60)])) ?? "", /log went back/);
  t.regex(etcdSetBack(old, etcdMarks([wal(5), snap(40)])) ?? "", /snapshots went back/);
  t.regex(etcdSetBack(old, etcdMarks([wal(5)])) ?? "", /to none/);
  t.regex(etcdSetBack(old, undefined) ?? "", /is gone/);
});
