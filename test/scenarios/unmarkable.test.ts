import { execFileSync } from "node:child_process";
import { appendFileSync, chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Watching } from "../helpers/agent.ts";
import { get } from "../helpers/http.ts";
import type { Receiver } from "../helpers/receiver.ts";
import { makePlace } from "../helpers/tree.ts";
import { until } from "../helpers/wait.ts";
import { alertsOf, makeNode, typesOf } from "../helpers/node.ts";
import type { TestNode } from "../helpers/node.ts";
import { fanotifyMissing } from "../helpers/processes.ts";
import { needing } from "../helpers/needs.ts";

const run = (command: string, ...args: readonly string[]): string =>
  execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

/** A new btrfs, mounted twice: its top, and its subvolume `@` as a distribution mounts it. */
function mountBtrfs(dir: string, subvolume: string): Disposable {
  const image = join(dir, "btrfs.img");
  const top = join(dir, "top");
  run("truncate", "-s", "120M", image);
  run("mkfs.btrfs", "-q", image);
  mkdirSync(top);
  run("mount", "-o", "loop", image, top);
  try {
    run("btrfs", "subvolume", "create", join(top, "@"));
    run("mount", "-o", "subvol=@", run("findmnt", "-n", "-o", "SOURCE", top).trim(), subvolume);
  } finally {
    run("umount", top);
  }
  return { [Symbol.dispose]: () => void run("umount", subvolume) };
}

function whyNot(): string | undefined {
  if (fanotifyMissing !== undefined) return fanotifyMissing;
  using place = makePlace();
  mkdirSync(place.at("sub"));
  try {
    mountBtrfs(place.dir, place.at("sub"))[Symbol.dispose]();
    return undefined;
  } catch {
    return "needs btrfs in the kernel, a loop device and btrfs-progs";
  }
}

const missing = whyNot();
const possible = needing(missing, "serial");

interface Node extends AsyncDisposable {
  readonly stage: TestNode;
  readonly receiver: Receiver;
  readonly watching: Watching;
  reported(path: string, change?: string): Promise<void>;
  degraded(): Promise<readonly string[]>;
}

async function start(prepare: (stage: TestNode) => Disposable): Promise<Node> {
  await using stack = new AsyncDisposableStack();
  const stage = stack.use(makeNode({ rules: { "/srv/**": "high", "/etc/app/file": "high" } }));
  stack.use(prepare(stage));
  for (const path of ["/srv/deep/er/file", "/etc/app/file"]) stage.write(path, "as it was\n");
  await stage.capture();
  const receiver = stack.use(await stage.startReceiver());
  const watching = stack.use(
    await stage.watch({
      engine: "fanotify",
      webhooks: [{ url: receiver.url, secret: stage.secretFile }],
      config: { watch: { quickSweepEvery: "1s" } },
    }),
  );
  const owned = stack.move();
  return {
    stage,
    receiver,
    watching,
    reported: async (path, change = "modified") => {
      await until(
        () => alertsOf(receiver).find((one) => one.path === path && one.change === change),
        30_000,
      );
    },
    degraded: async () => {
      const { body } = await get(`http://${watching.listen}/healthz`);
      return (JSON.parse(body) as { degraded: string[] }).degraded;
    },
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  };
}

possible(
  `a btrfs subvolume, which fanotify cannot mark, is watched by chokidar, and the agent says so`,
  async (t) => {
    await using node = await start(({ dir, root }) => mountBtrfs(dir, root));
    const { stage, receiver, watching } = node;
    t.regex(
      (await node.degraded()).join("\n"),
      /fanotify cannot watch .* \(EXDEV on btrfs\): chokidar/,
    );
    t.is((await watching.metrics()).get('fim_engine_info{engine="fanotify"}'), 1);

    appendFileSync(stage.at("/srv/deep/er/file"), "changed\n");
    chmodSync(stage.at("/etc/app/file"), 0o600);
    mkdirSync(stage.at("/srv/new"));
    writeFileSync(stage.at("/srv/new/file"), "");
    await node.reported("/srv/deep/er/file");
    await node.reported("/etc/app/file");
    await node.reported("/srv/new/file", "created");
    rmSync(stage.at("/etc/app"), { recursive: true });
    await node.reported("/etc/app/file", "deleted");
    stage.write("/etc/app/file", "again\n");
    await node.reported("/etc/app/file", "created");
    const hints = 'fim_hints_total{engine="chokidar"}';
    await until(async () => ((await watching.metrics()).get(hints) ?? 0) > 0);
    t.is(typesOf(receiver).filter((type) => type === "fim.agent.degraded").length, 1);

    const doctor = await stage.run("doctor", "--engine", "fanotify");
    t.regex(doctor.stdout, /!! +watches .*EXDEV on btrfs/);
    t.is(await watching.stop(), 0);
  },
);

possible(
  `a btrfs subvolume that is mounted over a watched directory is watched, until it is gone`,
  async (t) => {
    await using node = await start(() => ({ [Symbol.dispose]: () => undefined }));
    const { stage, receiver, watching } = node;
    t.deepEqual(await node.degraded(), []);
    const mounted = mountBtrfs(stage.dir, stage.at("/srv/deep"));
    try {
      await until(
        async () => (await node.degraded()).some((one) => one.startsWith("watches: ")),
        30_000,
      );
      await until(
        async () => (await get(`http://${watching.listen}/readyz`)).status === 200,
        30_000,
      );
      stage.write("/srv/deep/inside", "");
      await node.reported("/srv/deep/inside", "created");
      stage.write("/srv/deep/inside", "changed");
      await node.reported("/srv/deep/inside");
    } finally {
      mounted[Symbol.dispose]();
    }
    await until(async () => (await node.degraded()).length === 0, 30_000);
    await until(() => typesOf(receiver).includes("fim.agent.recovered"), 30_000);
    t.is(await watching.stop(), 0);
  },
);
