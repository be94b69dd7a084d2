import test from "ava";
import { Pace } from "../../src/deliver/wakeup.ts";

test("a bell that rang before the wait ends the wait at once, and only one", async (t) => {
  const pace = new Pace();
  const stop = new AbortController();
  pace.wake();
  pace.wake();
  await pace.idle(stop.signal);
  let ended = false;
  const second = pace.idle(stop.signal).then(() => (ended = true));
  await new Promise((resolve) => setImmediate(resolve));
  t.false(ended);
  pace.wake();
  await second;
  t.true(ended);
});

test("both waits end when the signal aborts, and leave no listener behind", async (t) => {
  const pace = new Pace();
  const stop = new AbortController();
  let listeners = 0;
  const add = stop.signal.addEventListener.bind(stop.signal);
  const remove = stop.signal.removeEventListener.bind(stop.signal);
  stop.signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners += 1;
    add(...args);
  };
  stop.signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners -= 1;
    remove(...args);
  };
  for (let round = 0; round < 3; round += 1) {
    const waiting = pace.idle(stop.signal);
    pace.wake();
    await waiting;
    await pace.pause(1, stop.signal);
  }
  t.is(listeners, 0);
  const waits = Promise.all([pace.idle(stop.signal), pace.pause(3_600_000, stop.signal)]);
  stop.abort();
  await waits;
  await pace.idle(stop.signal);
  await pace.pause(3_600_000, stop.signal);
  t.is(listeners, 0);
});

test("the bell does not shorten a pause", async (t) => {
  const pace = new Pace();
  const stop = new AbortController();
  let ended = false;
  const pause = pace.pause(3_600_000, stop.signal).then(() => (ended = true));
  pace.wake();
  await new Promise((resolve) => setImmediate(resolve));
  t.false(ended);
  stop.abort();
  await pause;
});
