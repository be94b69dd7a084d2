import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import type { TestFn } from "ava";
import type { Hint } from "../../src/core/change/hint.ts";
import { decodePath } from "../../src/core/path.ts";
import type { StartEngine } from "../../src/watch/engine.ts";
import { leadsTo } from "../../src/watch/selftest.ts";
import { Collected, indexOf, temporaryDirectory } from "./stub.ts";

/*
 * What every engine owes: for each way to change something below /watched, a hint that leads there, or a
 * sentence in its list of what it cannot see. /watched holds file, other, link -> file, dir/inside and sub;
 * /outside holds file and hard, a hard link to /watched/file. Both lie below a temporary root.
 */
interface Operation {
  readonly title: string;
  /** Given the two directories as they are seen from here. */
  readonly perform: (watched: string, outside: string) => void;
  /** Node paths to which hints must lead. */
  readonly leads: readonly string[];
  /** A hint at this directory is enough for an engine that cannot name the file. */
  readonly orAt?: string;
  /** The engine may say instead, in these words, that it cannot see this. */
  readonly orBlind?: RegExp;
}

const python = (code: string, ...args: readonly string[]) =>
  execFileSync("python3", ["-c", code, ...args], { stdio: ["ignore", "ignore", "inherit"] });

const badName = Buffer.from("/bad-\xff-name", "latin1");
const below = (dir: string, name: Buffer) => Buffer.concat([Buffer.from(dir), name]);

const operations: readonly Operation[] = [
  {
    title: "creating a file",
    perform: (w) => fs.writeFileSync(join(w, "fresh"), "x"),
    leads: ["/watched/fresh"],
  },
  {
    title: "creating an empty file",
    perform: (w) => fs.closeSync(fs.openSync(join(w, "fresh"), "w")),
    leads: ["/watched/fresh"],
  },
  {
    title: "appending to a file",
    perform: (w) => fs.appendFileSync(join(w, "file"), "more"),
    leads: ["/watched/file"],
  },
  {
    title: "rewriting a file in place",
    perform: (w) => fs.writeFileSync(join(w, "file"), "evil"),
    leads: ["/watched/file"],
  },
  {
    title: "truncating a file",
    perform: (w) => fs.truncateSync(join(w, "file"), 1),
    leads: ["/watched/file"],
  },
  {
    title: "changing the mode of a file",
    perform: (w) => fs.chmodSync(join(w, "file"), 0o4755),
    leads: ["/watched/file"],
  },
  {
    title: "changing the mode of a file that appeared while watching",
    perform(w) {
      fs.writeFileSync(join(w, "fresh"), "x");
      fs.chmodSync(join(w, "fresh"), 0o777);
    },
    leads: ["/watched/fresh"],
  },
  {
    title: "changing the mode of the watched directory itself",
    perform: (w) => fs.chmodSync(w, 0o777),
    leads: ["/watched"],
  },
  {
    title: "changing the mode of a directory below",
    perform: (w) => fs.chmodSync(join(w, "dir"), 0o777),
    leads: ["/watched/dir"],
  },
  {
    title: "changing the owner of a file",
    perform: (w) => fs.chownSync(join(w, "file"), 1, 1),
    leads: ["/watched/file"],
  },
  {
    title: "changing the owner of a symbolic link",
    perform: (w) => fs.lchownSync(join(w, "link"), 1, 1),
    leads: ["/watched/link"],
  },
  {
    title: "setting the times of a file",
    perform: (w) => fs.utimesSync(join(w, "file"), 1, 1),
    leads: ["/watched/file"],
  },
  {
    title: "setting an extended attribute",
    perform: (w) =>
      python("import os,sys; os.setxattr(sys.argv[1], 'trusted.fim', b'1')", join(w, "file")),
    leads: ["/watched/file"],
  },
  {
    title: "renaming a file within its directory",
    perform: (w) => fs.renameSync(join(w, "file"), join(w, "renamed")),
    leads: ["/watched/file", "/watched/renamed"],
  },
  {
    title: "renaming a file into another watched directory",
    perform: (w) => fs.renameSync(join(w, "file"), join(w, "sub/file")),
    leads: ["/watched/file", "/watched/sub/file"],
  },
  {
    title: "renaming a file out of the watched directories",
    perform: (w, o) => fs.renameSync(join(w, "other"), join(o, "taken")),
    leads: ["/watched/other"],
  },
  {
    title: "renaming a file into the watched directories",
    perform: (w, o) => fs.renameSync(join(o, "file"), join(w, "brought")),
    leads: ["/watched/brought"],
  },
  {
    title: "replacing a file by renaming a fresh one over it",
    perform(w) {
      fs.writeFileSync(join(w, ".tmp"), "x");
      fs.renameSync(join(w, ".tmp"), join(w, "file"));
    },
    leads: ["/watched/file"],
  },
  {
    title: "exchanging two names",
    perform: (w) =>
      python(
        "import ctypes,sys\nc=ctypes.CDLL(None,use_errno=True)\na,b=[x.encode() for x in sys.argv[1:3]]\nassert c.renameat2(-100,a,-100,b,2)==0",
        join(w, "file"),
        join(w, "other"),
      ),
    leads: ["/watched/file", "/watched/other"],
  },
  {
    title: "renaming a directory",
    perform: (w) => fs.renameSync(join(w, "dir"), join(w, "moved")),
    leads: ["/watched/dir", "/watched/moved"],
  },
  {
    title: "bringing in a populated directory",
    perform(w, o) {
      fs.mkdirSync(join(o, "tree/deep"), { recursive: true });
      fs.writeFileSync(join(o, "tree/deep/file"), "x");
      fs.renameSync(join(o, "tree"), join(w, "tree"));
    },
    leads: ["/watched/tree", "/watched/tree/deep/file"],
  },
  {
    title: "making directories and a file in them at once",
    perform(w) {
      fs.mkdirSync(join(w, "a/b"), { recursive: true });
      fs.writeFileSync(join(w, "a/b/file"), "x");
    },
    leads: ["/watched/a", "/watched/a/b", "/watched/a/b/file"],
  },
  {
    title: "removing a tree",
    perform: (w) => fs.rmSync(join(w, "dir"), { recursive: true }),
    leads: ["/watched/dir"],
  },
  {
    title: "deleting a file",
    perform: (w) => fs.unlinkSync(join(w, "file")),
    leads: ["/watched/file"],
  },
  {
    title: "creating and deleting a file at once",
    perform(w) {
      fs.writeFileSync(join(w, "fresh"), "x");
      fs.unlinkSync(join(w, "fresh"));
    },
    leads: ["/watched/fresh"],
  },
  {
    title: "making a symbolic link",
    perform: (w) => fs.symlinkSync("/etc/passwd", join(w, "fresh")),
    leads: ["/watched/fresh"],
  },
  {
    title: "turning a symbolic link to another target",
    perform(w) {
      fs.symlinkSync("other", join(w, ".tmp"));
      fs.renameSync(join(w, ".tmp"), join(w, "link"));
    },
    leads: ["/watched/link"],
  },
  {
    title: "making a FIFO",
    perform: (w) => execFileSync("mkfifo", [join(w, "fresh")]),
    leads: ["/watched/fresh"],
  },
  {
    title: "making a hard link inside",
    perform: (w) => fs.linkSync(join(w, "file"), join(w, "fresh")),
    leads: ["/watched/fresh"],
  },
  {
    title: "making a hard link outside to a watched file",
    perform: (w, o) => fs.linkSync(join(w, "file"), join(o, "fresh")),
    leads: ["/watched/file"],
    orBlind: /hard link outside/,
  },
  {
    title: "writing through a hard link outside",
    perform: (_, o) => fs.appendFileSync(join(o, "hard"), "evil"),
    leads: ["/watched/file"],
    orBlind: /hard link outside/,
  },
  {
    title: "changing the mode through a hard link outside",
    perform: (_, o) => fs.chmodSync(join(o, "hard"), 0o777),
    leads: ["/watched/file"],
    orBlind: /hard link outside/,
  },
  {
    title: "writing through mmap",
    perform: (w) =>
      python(
        "import mmap,os,sys\nf=os.open(sys.argv[1],os.O_RDWR)\nm=mmap.mmap(f,0)\nm[0:1]=b'E'\nm.close()\nos.close(f)",
        join(w, "file"),
      ),
    leads: ["/watched/file"],
    orBlind: /mmap/,
  },
  {
    title: "copying into a file inside the kernel",
    perform: (w) =>
      python(
        "import os,sys\na=os.open(sys.argv[1],os.O_RDONLY); b=os.open(sys.argv[2],os.O_WRONLY)\nos.copy_file_range(a,b,3)",
        join(w, "other"),
        join(w, "file"),
      ),
    leads: ["/watched/file"],
  },
  {
    title: "preallocating room in a file",
    perform: (w) =>
      python(
        "import os,sys\nos.posix_fallocate(os.open(sys.argv[1],os.O_RDWR),0,4096)",
        join(w, "file"),
      ),
    leads: ["/watched/file"],
  },
  {
    title: "linking an unnamed file into place",
    perform: (w) =>
      python(
        "import ctypes,os,sys\nc=ctypes.CDLL(None,use_errno=True)\nf=os.open(sys.argv[1],os.O_TMPFILE|os.O_WRONLY,0o600)\nos.write(f,b'x')\nassert c.linkat(-100,b'/proc/self/fd/%d'%f,-100,sys.argv[2].encode(),0x400)==0",
        w,
        join(w, "fresh"),
      ),
    leads: ["/watched/fresh"],
  },
  {
    title: "creating a name that is not UTF-8",
    perform: (w) => fs.writeFileSync(below(w, badName), "x"),
    leads: [`/watched${decodePath(badName)}`],
    orAt: "/watched",
  },
  {
    title: "creating a file below a directory whose name is not UTF-8",
    perform(w) {
      fs.mkdirSync(below(w, badName));
      fs.writeFileSync(below(w, Buffer.concat([badName, Buffer.from("/file")])), "x");
    },
    leads: [`/watched${decodePath(badName)}/file`],
    orBlind: /not UTF-8/,
  },
  {
    title: "creating a name with a newline, a backslash and an escape sequence",
    perform: (w) => fs.writeFileSync(join(w, "a\n\\b\u001b[2J"), "x"),
    leads: ["/watched/a\n\\b\u001b[2J"],
  },
  {
    title: "creating a name of 255 bytes",
    perform: (w) => fs.writeFileSync(join(w, "n".repeat(255)), "x"),
    leads: [`/watched/${"n".repeat(255)}`],
  },
  {
    title: "creating names that differ from a directory's by a suffix",
    perform: (w) => fs.writeFileSync(join(w, "dir2"), "x"),
    leads: ["/watched/dir2"],
  },
];

/** Changes after which the engine must still see what follows: performed, then `last` must be hinted at. */
const followed: readonly (Operation & { readonly last: (watched: string) => void })[] = [
  {
    title: "a directory was renamed",
    perform: (w) => fs.renameSync(join(w, "dir"), join(w, "moved")),
    leads: ["/watched/moved/later"],
    last: (w) => fs.writeFileSync(join(w, "moved/later"), "x"),
  },
  {
    title: "a tree was made",
    perform: (w) => fs.mkdirSync(join(w, "a/b/c"), { recursive: true }),
    leads: ["/watched/a/b/c/later"],
    last: (w) => fs.writeFileSync(join(w, "a/b/c/later"), "x"),
  },
  {
    title: "a directory was deleted and made again",
    perform(w) {
      fs.rmSync(join(w, "dir"), { recursive: true });
      fs.mkdirSync(join(w, "dir"));
    },
    leads: ["/watched/dir/later"],
    last: (w) => fs.writeFileSync(join(w, "dir/later"), "x"),
  },
  {
    title: "the rule's own directory was deleted and made again",
    perform(w) {
      fs.rmSync(w, { recursive: true });
      fs.mkdirSync(w);
    },
    leads: ["/watched/later"],
    last: (w) => fs.writeFileSync(join(w, "later"), "x"),
  },
  {
    title: "the rule's own directory was put aside and another put in its place",
    perform(w, o) {
      fs.renameSync(w, join(o, "aside"));
      fs.mkdirSync(w);
    },
    leads: ["/watched/later"],
    last: (w) => fs.writeFileSync(join(w, "later"), "x"),
  },
  {
    title: "a directory that did not exist, nor its parent, was made",
    perform: (w) => fs.mkdirSync(join(w, "../absent/yet"), { recursive: true }),
    leads: ["/absent/yet/later"],
    last: (w) => fs.writeFileSync(join(w, "../absent/yet/later"), "x"),
  },
];

function populate(root: string): { readonly watched: string; readonly outside: string } {
  const watched = join(root, "watched");
  const outside = join(root, "outside");
  fs.mkdirSync(join(watched, "dir"), { recursive: true });
  fs.mkdirSync(join(watched, "sub"));
  fs.mkdirSync(outside);
  for (const name of ["file", "other", "dir/inside"]) fs.writeFileSync(join(watched, name), "good");
  fs.symlinkSync("file", join(watched, "link"));
  fs.writeFileSync(join(outside, "file"), "good");
  fs.linkSync(join(watched, "file"), join(outside, "hard"));
  return { watched, outside };
}

function* directoriesBelow(root: string): Generator<string> {
  yield "/watched";
  for (const entry of fs.readdirSync(join(root, "watched"), { withFileTypes: true })) {
    if (entry.isDirectory()) yield `/watched/${entry.name}`;
  }
}

interface Running extends AsyncDisposable {
  readonly watched: string;
  readonly outside: string;
  readonly blind: readonly string[];
  readonly collected: Collected;
}

async function run(start: StartEngine): Promise<Running> {
  const directory = temporaryDirectory();
  const places = populate(directory.path);
  const stop = new AbortController();
  const collected = new Collected();
  const engine = start({
    root: directory.path,
    index: indexOf("/watched", "/absent/yet"),
    directories: () => directoriesBelow(directory.path),
    signal: stop.signal,
    now: Date.now,
    sink: collected.sink,
  });
  const running: Running = {
    ...places,
    blind: engine.blind,
    collected,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await engine.ended;
      directory[Symbol.dispose]();
    },
  };
  try {
    await engine.ready;
    return running;
  } catch (error) {
    await running[Symbol.asyncDispose]();
    throw error;
  }
}

const isAt = (directory: string) => (hint: Hint) => hint.kind === "path" && hint.path === directory;

/** Adds the suite to a test file. Serial, because an engine may own a thread. */
export function engineContract(test: TestFn, name: string, start: StartEngine): void {
  for (const operation of operations) {
    const { title, perform, leads, orAt, orBlind } = operation;
    test.serial(`${name}: ${title} is hinted at, or listed as not seen`, async (t) => {
      await using running = await run(start);
      if (orBlind && running.blind.some((sentence) => orBlind.test(sentence))) {
        t.pass();
        return;
      }
      perform(running.watched, running.outside);
      for (const path of leads) {
        const isSeen = await running.collected.has(
          (hint) => leadsTo(hint, path) || (orAt !== undefined && isAt(orAt)(hint)),
        );
        t.true(isSeen, `no hint leads to ${path}`);
      }
    });
  }

  for (const { title, perform, last, leads } of followed) {
    test.serial(`${name}: after ${title}, what happens there is seen`, async (t) => {
      await using running = await run(start);
      const { collected, watched, outside } = running;
      perform(watched, outside);
      // Whatever came of it has come when a marker made after it is seen.
      const isSeen = async () => {
        for (let attempt = 0; attempt < 200; attempt += 1) {
          const from = collected.hints.length;
          last(watched);
          const isLater = (hint: Hint) =>
            collected.hints.indexOf(hint) >= from &&
            hint.kind === "path" &&
            leads.includes(hint.path);
          if (await collected.has(isLater, 50)) return true;
        }
        return false;
      };
      t.true(await isSeen());
    });
  }

  test.serial(
    `${name}: what happens outside the watched directories is not hinted at`,
    async (t) => {
      await using running = await run(start);
      fs.writeFileSync(join(running.outside, "fresh"), "x");
      fs.chmodSync(join(running.outside, "file"), 0o777);
      fs.writeFileSync(join(running.watched, "marker"), "x");
      t.true(await running.collected.has((hint) => leadsTo(hint, "/watched/marker")));
      t.false(
        running.collected.hints.some((hint) => "path" in hint && hint.path.startsWith("/outside")),
      );
    },
  );

  test.serial(
    `${name}: none of 2,000 changes is lost, and hints end when it is stopped`,
    async (t) => {
      const running = await run(start);
      try {
        for (let count = 0; count < 2000; count += 1) {
          fs.writeFileSync(join(running.watched, `sub/${count}`), "x");
        }
        for (let count = 0; count < 2000; count += 1) {
          if (!(await running.collected.has((hint) => leadsTo(hint, `/watched/sub/${count}`)))) {
            t.fail(`no hint leads to /watched/sub/${count}`);
            return;
          }
        }
        t.false(
          running.collected.hints.some(({ kind }) => kind === "overflow" || kind === "failed"),
        );
      } finally {
        await running[Symbol.asyncDispose]();
      }
    },
  );

  test.serial(
    `${name}: a directory added on request is watched although no rule leads there`,
    async (t) => {
      using directory = temporaryDirectory();
      fs.mkdirSync(join(directory.path, "state/probe"), { recursive: true });
      const stop = new AbortController();
      const options = { root: directory.path, index: indexOf("/watched"), signal: stop.signal };
      const collected = new Collected();
      const engine = start({
        ...options,
        directories: () => ["/state/probe"],
        now: Date.now,
        sink: collected.sink,
      });
      await engine.ready;
      fs.writeFileSync(join(directory.path, "state/probe/file"), "x");
      t.true(await collected.has((hint) => leadsTo(hint, "/state/probe/file")));
      t.true(engine.watched() > 0);
      stop.abort();
      await engine.ended;
    },
  );
}
