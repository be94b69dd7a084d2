import test from "ava";
import { Notices } from "../../src/health/notices.ts";

/** Notices over a store that can be closed. */
function makeNotices() {
  const stored: string[] = [];
  const store = { isOpen: true };
  const failures: unknown[] = [];
  const write = (text: string) => (): void => {
    if (!store.isOpen) throw new Error("closed");
    stored.push(text);
  };
  const notices = new Notices({
    onFailed: (error) => failures.push(error),
    onStored: () => undefined,
    giveUp: (count) => write(`gave up ${count}`)(),
  });
  return { notices, stored, store, failures, add: (text: string) => notices.store(write(text)) };
}

test("what cannot be stored waits and is stored in its order", (t) => {
  const { notices, stored, store, failures, add } = makeNotices();
  using _ = notices;
  add("first");
  store.isOpen = false;
  add("second");
  add("third");
  t.deepEqual(stored, ["first"]);
  t.is(failures.length, 1, "a write behind a failed one is not tried before it");
  store.isOpen = true;
  notices.retry();
  t.deepEqual(stored, ["first", "second", "third"]);
});

test("memory is bounded: what is given up is counted and reported", (t) => {
  const { notices, stored, store, add } = makeNotices();
  using _ = notices;
  store.isOpen = false;
  for (let each = 0; each < 10_005; each += 1) add(String(each));
  store.isOpen = true;
  notices.retry();
  t.is(stored.length, 10_001);
  t.is(stored.at(-1), "gave up 5");
});
