import test from "ava";
import { Nonces } from "../../src/collector/nonce.ts";

const secret = Buffer.alloc(32, 7);

test("a nonce is later than any that was seen before, also by another collector or after a restart", (t) => {
  const ahead = new Nonces(secret, () => 5_000_000).make();
  const nonces = new Nonces(secret, () => 1_000_000);
  const timeOf = (nonce: string): number => nonces.timeOf(nonce) ?? t.fail("not ours");
  const before = timeOf(nonces.make());
  const seen = timeOf(ahead);
  t.true(seen > before);
  t.true(timeOf(nonces.make()) > seen);
});

test("a nonce is fresh for its time, whatever the clock is set to meanwhile", (t) => {
  let now = 5_000_000;
  const nonces = new Nonces(secret, () => now);
  const first = nonces.make();
  now -= 3_600_000;
  t.true(nonces.isFresh(first, 1000));
  const second = nonces.make();
  now += 900;
  t.true(nonces.isFresh(second, 1000));
  now += 200;
  t.false(nonces.isFresh(second, 1000));
  t.false(nonces.isFresh(new Nonces(Buffer.alloc(32), () => now).make(), 1000), "not ours");
});
