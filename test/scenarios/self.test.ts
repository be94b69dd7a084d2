import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fanotifyMissing } from "../helpers/processes.ts";
import { startNode } from "../helpers/running-node.ts";
import type { RunningNode } from "../helpers/running-node.ts";
import { needing } from "../helpers/needs.ts";

const possible = needing(fanotifyMissing, "serial");

const start = async (): Promise<RunningNode> =>
  await startNode({
    isMachine: true,
    rules: (ground) => [{ id: "watched", paths: [ground.called("/watched/**")], severity: "high" }],
    prepare: (ground) => ground.write("/watched/file", "as it was\n"),
  });

const shell = (command: string, ...args: readonly string[]): void => {
  execFileSync("sh", ["-ec", command, "sh", ...args]);
};

interface Touch {
  readonly what: string;
  readonly command: string;
  readonly path: (node: RunningNode) => string;
  readonly by: string;
}

const touches: readonly Touch[] = [
  {
    what: "its key by another name of it",
    command: 'ln "$1" "$2"; python3 -c "import sys; open(sys.argv[1], \'a\').write(\'x\')" "$2"',
    path: ({ state }) => join(state, "agent.key"),
    by: "python3",
  },
  {
    what: "its state directory, which is moved away and back",
    command: 'mv "$1" "$1.away"; mv "$1.away" "$1"',
    path: ({ state }) => state,
    by: "mv",
  },
];

possible(
  `what another process does to the agent itself is reported with that process`,
  async (t) => {
    await using node = await start();
    for (const { what, command, path, by } of touches) {
      const before = node.alerts().length;
      shell(command, path(node), join(node.dir, "elsewhere"));
      const alert = await node.alerted(
        (one) => one.path === path(node) && (one.actor?.comm ?? "").startsWith(by),
        before,
      );
      t.like(alert, { rule: "agent/self", severity: "critical", verdict: "unexpected" }, what);
    }
    t.is(await node.watching.stop(), 0);
  },
);

possible(
  `what is mounted over the agent's own files is reported, and that it is gone`,
  async (t) => {
    await using node = await start();
    for (const path of [join(node.state, "agent.key"), join(node.dir, "policy.yaml")]) {
      const before = node.alerts().length;
      shell('cp "$1" "$2"; mount --bind "$2" "$1"', path, join(node.dir, "copy"));
      try {
        const mounted = await node.alerted((one) => one.change === "mounted", before);
        t.like(mounted, { path, rule: "agent/self", severity: "critical", verdict: "unexpected" });
      } finally {
        shell('umount "$1"', path);
      }
      const gone = await node.alerted((one) => one.change === "unmounted", before);
      t.like(gone, { path, rule: "agent/self", severity: "critical" });
    }
    t.is(await node.watching.stop(), 0);
  },
);

possible(`what the agent itself does is not reported`, async (t) => {
  await using node = await start();
  const before = node.alerts().length;
  for (const command of [["check"], ["accept", "--all", "--reason", "a test"]] as const)
    t.is((await node.run(...command)).code, 0);
  shell('echo changed > "$1"', node.at("/watched/file"));
  await node.alerted(({ path }) => path === node.at("/watched/file"), before);
  shell('chmod 600 "$1"', node.at("/watched/file"));
  await node.alerted(({ fields }) => fields?.includes("mode") === true, before);
  t.deepEqual(
    node.alerts().filter(({ rule }) => rule === "agent/self"),
    [],
  );
  t.is(await node.watching.stop(), 0);
});
