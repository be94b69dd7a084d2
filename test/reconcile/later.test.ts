import { renameSync, rmSync } from "node:fs";
import test from "ava";
import type { Actor } from "../../src/core/change/hint.ts";
import type { PathHints } from "../../src/reconcile/hints.ts";
import type { Later } from "../../src/reconcile/reconcile.ts";
import { hintsOf, inShort, makeBench } from "./bench.ts";

const mv: Actor = { pid: 9, exe: "/usr/bin/mv" };
const sh: Actor = { pid: 7, exe: "/usr/bin/dash" };
const kubeadm: Actor = { pid: 5, exe: "/usr/bin/kubeadm", isProven: true };
const reported = { engine: "fanotify" } as const;

interface Asked extends Later {
  readonly asked: (readonly [paths: readonly string[], use: "taken" | "noted"])[];
}

/** Answers each question with what is next. */
function answering(rounds: number, ...answers: readonly (readonly PathHints[])[]): Asked {
  const asked: Asked["asked"] = [];
  const ask: Later["ask"] = (paths, use) => {
    asked.push([paths, use]);
    return Promise.resolve(answers[asked.length - 1] ?? []);
  };
  return { rounds, ask, asked };
}

test("what a look leads to is reported with the hint that was read after it", async (t) => {
  using bench = makeBench();
  bench.write("/w/a", "a");
  bench.learn();
  renameSync(bench.at("/w/a"), bench.at("/w/b"));
  const hint = hintsOf({
    ...reported,
    path: "/w/b",
    steps: ["renamed"],
    from: ["/w/a"],
    actors: [mv],
  });
  const changes = await bench.look([{ path: "/w", engine: "sweep" }], {
    later: answering(2, [hint]),
  });
  t.deepEqual(inShort(changes), ["renamed /w/b <- /w/a"]);
  t.like(changes[0], { actor: mv, engine: "fanotify" });
});

test("a file that a sweep finds gone is reported as renamed over another when the kernel's word was still unread", async (t) => {
  using bench = makeBench();
  bench.write("/w/a", "a");
  bench.write("/w/b", "b");
  bench.learn();
  renameSync(bench.at("/w/a"), bench.at("/w/b"));
  const hint = hintsOf({
    ...reported,
    path: "/w/b",
    steps: ["renamed"],
    from: ["/w/a"],
    actors: [mv],
  });
  const changes = await bench.look([{ path: "/w/a", engine: "sweep" }], {
    later: answering(2, [hint]),
  });
  t.deepEqual(inShort(changes), ["renamed /w/b <- /w/a content,inode"]);
  t.deepEqual(changes[0]?.actor, mv);
});

test("what was taken later is looked at again, and reported as it is then", async (t) => {
  using bench = makeBench();
  bench.learn();
  bench.write("/w/a", "a");
  const later = answering(2);
  const ask: Later["ask"] = (paths, use) => {
    if (later.asked.length === 0) rmSync(bench.at("/w/a"));
    return later.ask(paths, use);
  };
  const gone = hintsOf({ ...reported, path: "/w/a", steps: ["created", "deleted"], actors: [sh] });
  const changes = await bench.look(["/w/a"], {
    later: { rounds: 2, ask: async (paths, use) => [...(await ask(paths, use)), gone] },
  });
  t.deepEqual(inShort(changes), ["transient /w/a created,deleted"]);
  t.deepEqual(changes[0]?.actor, sh);
});

test("a stranger's write is not approved with an allowed writer's, whose hint was read before", async (t) => {
  for (const rounds of [undefined, 0, 2]) {
    using bench = makeBench();
    bench.write("/w/written", "as it was");
    bench.learn();
    bench.write("/w/written", "by a stranger");
    const first = {
      ...reported,
      path: "/w/written",
      steps: ["closed"],
      actors: [kubeadm],
    } as const;
    const second = hintsOf({ ...reported, path: "/w/written", steps: ["modified"], actors: [sh] });
    const changes = await bench.look([first], {
      ...(rounds !== undefined && { later: answering(rounds, [second]) }),
    });
    const isApproved = rounds === undefined;
    t.is(changes[0]?.verdict, isApproved ? "approved" : "unexpected");
    t.deepEqual(changes[0]?.actor, isApproved ? kubeadm : sh);
  }
});

test("a process that writes on and on delays a look for a few rounds at most, and the last round takes nothing", async (t) => {
  using bench = makeBench();
  bench.learn();
  bench.write("/w/a", "a");
  const more = [hintsOf({ ...reported, path: "/w/a", steps: ["modified"], actors: [sh] })];
  const later = answering(2, more, more, more, more);
  const changes = await bench.look(
    [{ ...reported, path: "/w/a", steps: ["created"], actors: [mv] }],
    {
      later,
    },
  );
  t.deepEqual(inShort(changes), ["created /w/a"]);
  t.deepEqual(
    later.asked.map(([, use]) => use),
    ["taken", "taken", "noted"],
  );
});

test("of what is only noted nothing but who took part is reported", async (t) => {
  using bench = makeBench();
  bench.write("/w/a", "a");
  bench.learn();
  bench.write("/w/a", "b");
  const noted = hintsOf({ ...reported, path: "/w/a", steps: ["deleted"], actors: [sh] });
  const own = { ...reported, path: "/w/a", steps: ["modified"], actors: [mv] } as const;
  const changes = await bench.look([own], { later: answering(0, [noted]) });
  t.deepEqual(inShort(changes), ["modified /w/a content"]);
  t.deepEqual(changes[0]?.actor, mv);
});

test("no process is asked where nothing changed, or for what happened while the agent was down", async (t) => {
  using bench = makeBench();
  bench.write("/w/a", "a");
  bench.learn();
  const later = answering(2);
  await bench.look(["/w/a"], { later });
  bench.write("/w/a", "b");
  await bench.look(["/w/a"], { later, offline: true });
  t.deepEqual(later.asked, []);
});
