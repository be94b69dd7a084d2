import test from "ava";
import { Wakeup } from "../../src/deliver/wakeup.ts";

test("a bell that rang before the wait ends the wait at once, and only one", async (t) => {
  const wakeup = new Wakeup();
  const stop = new AbortController();
  wakeup.wake();
  wakeup.wake();
  await wakeup.idle(stop.signal);
  let ended = false;
  const second = wakeup.idle(stop.signal).then(() => (ended = true));
  await new Promise((resolve) => setImmediate(resolve));
  t.false(ended);
  wakeup.wake();
  await second;
  t.true(ended);
});

test("both waits end when the signal aborts, and leave no listener behind", async (t) => {
  const wakeup = new Wakeup();
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
    const waiting = wakeup.idle(stop.signal);
    wakeup.wake();
    await waiting;
    await wakeup.pause(1, stop.signal);
  }
  t.is(listeners, 0);
  const waits = Promise.all([wakeup.idle(stop.signal), wakeup.pause(3_600_000, stop.signal)]);
  stop.abort();
  await waits;
  await wakeup.idle(stop.signal);
  await wakeup.pause(3_600_000, stop.signal);
  t.is(listeners, 0);
});

test("the bell does not shorten a pause", async (t) => {
  const wakeup = new Wakeup();
  const stop = new AbortController();
  let ended = false;
  const pause = wakeup.pause(3_600_000, stop.signal).then(() => (ended = true));
  wakeup.wake();
  await new Promise((resolve) => setImmediate(resolve));
  t.false(ended);
  stop.abort();
  await pause;
});
