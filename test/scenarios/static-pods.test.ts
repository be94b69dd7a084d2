import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readlinkSync,
  realpathSync,
  rmdirSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { get } from "../helpers/http.ts";
import { mountMissing } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";
import type { Alert } from "../helpers/node.ts";
import { fanotifyMissing } from "../helpers/processes.ts";
import { startNode } from "../helpers/running-node.ts";
import { until } from "../helpers/wait.ts";

const groups = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"].find((dir) =>
  existsSync(`${dir}/cgroup.procs`),
);
const missing =
  fanotifyMissing ?? mountMissing() ?? (groups === undefined ? "needs cgroups" : undefined);
const possible = needing(missing, "serial");

const sed = realpathSync("/usr/bin/sed");

/** Copies the program and the libraries that it loads. */
function makeImage(image: string): void {
  const listed = execFileSync("ldd", [sed], { encoding: "utf8" });
  const libraries = [...listed.matchAll(/(\/\S+)/g)].map(([path]) => path);
  for (const path of [sed, ...libraries]) {
    mkdirSync(dirname(join(image, path)), { recursive: true });
    copyFileSync(path, join(image, path));
  }
}

/** A cgroup as the kubelet names one of a static pod. */
function makeGroup(podUid: string): { readonly dir: string } & AsyncDisposable {
  const id = randomBytes(32).toString("hex");
  const above = `${groups}/kubepods-static-${process.pid}-${id.slice(0, 8)}`;
  const dir = join(above, `pod${podUid}`, id);
  mkdirSync(dir, { recursive: true });
  return {
    dir,
    [Symbol.asyncDispose]: async () => {
      for (const one of [dir, join(dir, ".."), above])
        await until(() => {
          try {
            rmdirSync(one);
          } catch {
            return !existsSync(one);
          }
          return true;
        });
    },
  };
}

/** A container whose program writes each line of its standard input to the file. */
function startContainer(group: string, image: string, file: string): ChildProcess {
  const script = `
    echo $$ > "$0/cgroup.procs" && mount -t tmpfs none /mnt && cp -a "$1/." /mnt &&
    mkdir -p "/mnt$2" && mount --bind "$2" "/mnt$2" && mkdir /mnt/old && cd /mnt &&
    pivot_root . old && exec /old/usr/sbin/chroot / "$3" -u -n "w $4"`;
  const args = ["-m", "sh", "-ec", script, group, image, dirname(file), sed, file];
  return spawn("unshare", args, { stdio: ["pipe", "ignore", "inherit"] });
}

function programOf({ pid }: ChildProcess): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return undefined;
  }
}

async function endOf(container: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => container.once("close", resolve));
  container.stdin?.end();
  await ended;
}

possible(
  `a writer in a static pod counts with the program that was approved, by its digest`,
  async (t) => {
    await using node = await startNode({
      isMachine: true,
      rules: ({ called }) => [
        {
          id: "data",
          paths: [called("/data/**")],
          severity: "critical",
          writers: [sed],
          containerWriters: "static",
        },
      ],
      prepare: ({ at, write }) => {
        makeImage(at("/good"));
        makeImage(at("/evil"));
        appendFileSync(join(at("/evil"), sed), "\0");
        for (const name of ["good", "again", "evil", "foreign", "later"])
          write(`/data/${name}`, "");
      },
    });
    await using group = makeGroup(randomBytes(16).toString("hex"));
    await using other = makeGroup("01234567-89ab-cdef-0123-456789abcdef");
    const write = async (container: ChildProcess): Promise<Alert> => {
      const file = container.spawnargs.at(-1);
      const before = node.alerts().length;
      container.stdin?.write("a line\n");
      return await node.alerted(
        (one) => one.path === file && one.fields?.[0] === "content",
        before,
      );
    };
    // Right after several executions in a row no program is proven: the second write counts.
    const written = async (container: ChildProcess): Promise<Alert> => {
      await until(() => programOf(container) === sed);
      await write(container);
      return await write(container);
    };
    const start = (cgroup: string, image: string, name: string): ChildProcess =>
      startContainer(cgroup, node.at(image), node.at(`/data/${name}`));
    const degraded = async (): Promise<string> =>
      (await get(`http://${node.watching.listen}/healthz`)).body;

    const good = start(group.dir, "/good", "good");
    const unproven = await written(good);
    t.is(unproven.actor?.exe, sed);
    t.is(unproven.verdict, "unexpected", "nothing ran at the capture, so nothing was approved");
    t.regex(await degraded(), /static pods .*sed: it runs with a digest that was never approved/);

    const { code, stdout, stderr } = await node.run("accept", sed, "--reason", "etcd runs now");
    t.is(code, 0, stderr);
    t.regex(stdout, /accepted .*sed in static pods, [0-9a-f]{64}/);
    t.is((await written(good)).verdict, "approved");
    t.notRegex(await degraded(), /static pods/);
    await endOf(good);

    const again = start(group.dir, "/good", "again");
    t.is((await written(again)).verdict, "approved", "the same image in another container");
    await endOf(again);

    const evil = start(group.dir, "/evil", "evil");
    t.is((await written(evil)).verdict, "unexpected", "another program of that name");
    await endOf(evil);

    const foreign = start(other.dir, "/good", "foreign");
    t.is((await written(foreign)).verdict, "unexpected", "no static pod");
    await endOf(foreign);

    t.is((await node.run("key", "rotate")).code, 0);
    const later = start(group.dir, "/good", "later");
    t.is((await written(later)).verdict, "approved", "a rotated key keeps what was approved");
    await endOf(later);
    t.is((await node.run("verify")).code, 0);
    t.is(await node.watching.stop(), 0);
  },
);
