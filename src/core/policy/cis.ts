import { nameOf } from "../path.ts";

export type Check = "mode" | "owner";

/** Where several files share a rule: the file that a pair of checks (mode, owner) is about. */
const components: readonly [mode: string, owner: string, name: RegExp][] = [
  ["1.1.1", "1.1.2", /^kube-apiserver\b/],
  ["1.1.3", "1.1.4", /^kube-controller-manager\b/],
  ["1.1.5", "1.1.6", /^kube-scheduler\b/],
  ["1.1.7", "1.1.8", /^etcd\b/],
  ["4.1.3", "4.1.4", /^(?:kube)?proxy\b/],
];

/** The ids of a rule, in the CIS Kubernetes Benchmark 1.12, that are about this attribute of this file. */
export function cisIdsOf(ids: readonly string[], path: string, check: Check): readonly string[] {
  const name = nameOf(path);
  return ids.filter((id) => {
    const component = components.find(([mode, owner]) => id === mode || id === owner);
    return checkOf(id) === check && (component === undefined || component[2].test(name));
  });
}

/** Its checks come in pairs, mode before owner, but for the last ones of section 1.1. */
function checkOf(id: string): Check {
  if (id === "1.1.19") return "owner";
  if (id === "1.1.20" || id === "1.1.21") return "mode";
  return Number(id.slice(id.lastIndexOf(".") + 1)) % 2 === 1 ? "mode" : "owner";
}
