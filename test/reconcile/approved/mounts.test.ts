import test from "ava";
import type { ApprovedMounts } from "../../../src/core/record/mounts.ts";
import { withPresentMounts } from "../../../src/reconcile/approved/mounts.ts";

const tableOf = (file: string, ...paths: readonly string[]): ApprovedMounts => ({
  table: { file, prefix: "/" },
  points: paths.map((path) => ({ path, root: "/", type: "tmpfs", source: "none" })),
});
const own = "/proc/self/mountinfo";
const at = (accepted: string) => ({
  isEvery: false,
  isAccepted: (path: string) => path === accepted,
});
const every = { isEvery: true, isAccepted: () => true };
const paths = (mounts: ApprovedMounts | undefined) => mounts?.points.map(({ path }) => path);

test("only the mounts at accepted paths become approved, or end", (t) => {
  const approved = tableOf(own, "/etc", "/opt");
  const present = tableOf(own, "/opt", "/srv", "/usr");
  t.deepEqual(paths(withPresentMounts({ approved, present }, at("/srv"))), [
    "/etc",
    "/opt",
    "/srv",
  ]);
  t.deepEqual(paths(withPresentMounts({ approved, present }, at("/etc"))), ["/opt"]);
  t.deepEqual(paths(withPresentMounts({ approved, present }, every)), ["/opt", "/srv", "/usr"]);
});

test("mounts with which nothing compares are approved by --all alone, never unseen", (t) => {
  const present = tableOf(own, "/etc/kubernetes");
  const without = { approved: undefined, present };
  t.is(withPresentMounts(without, at("/etc/kubernetes")), undefined);
  t.deepEqual(withPresentMounts(without, every), present);
  const approved = tableOf("/proc/1/mountinfo", "/opt");
  t.deepEqual(withPresentMounts({ approved, present }, at("/etc/kubernetes")), approved);
  t.deepEqual(withPresentMounts({ approved, present }, every), present);
});

test("an unreadable mount table changes nothing", (t) => {
  const approved = tableOf(own, "/opt");
  t.is(withPresentMounts({ approved, present: undefined }, every), approved);
});
