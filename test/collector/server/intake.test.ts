import { gzipSync } from "node:zlib";
import test from "ava";
import { Intake } from "../../../src/collector/server/intake.ts";
import type { Held } from "../../../src/collector/server/intake.ts";

const megabyte = 2 ** 20;

/** Uncompresses this; what did not fit is no longer held. Returns its size. */
async function uncompressed(held: Held, body: Buffer): Promise<number> {
  try {
    const found = await held.uncompress(body, "gzip");
    return "bytes" in found ? found.bytes.length : 0;
  } catch (error) {
    held[Symbol.dispose]();
    throw error;
  }
}

test("bodies that grow a thousandfold are in memory together only as far as there is room", async (t) => {
  const intake = new Intake();
  const bomb = gzipSync(Buffer.alloc(8 * megabyte, "x"));
  const small = gzipSync("x".repeat(1000));
  const bombs = Array.from({ length: 40 }, () => intake.begin());
  const ends = await Promise.allSettled(bombs.map(async (held) => await uncompressed(held, bomb)));
  const sizes = ends.map((one) => (one.status === "fulfilled" ? one.value : 0));
  const sum = sizes.reduce((total, size) => total + size, 0);
  t.true(sum > 0 && sum <= 64 * megabyte, String(sum));
  for (const one of ends) if (one.status === "rejected") t.like(one.reason, { code: "STATE_BUSY" });
  for (const held of bombs) held[Symbol.dispose]();
  t.is(await uncompressed(intake.begin(), small), 1000);
});

test("a body holds the memory for what it says that it becomes", async (t) => {
  const lying = gzipSync("x");
  lying.writeUInt32LE(2 ** 32 - 1, lying.length - 4);
  const held = new Intake().begin();
  const reading = held.uncompress(lying, "gzip");
  t.true(held.bytes >= 3 * megabyte);
  t.like(await reading, { status: 400 });
});

test("a body that is being uncompressed makes room for a smaller one", async (t) => {
  const intake = new Intake();
  const bomb = gzipSync(Buffer.alloc(8 * megabyte, "x"));
  const others = Array.from({ length: 7 }, () => intake.begin());
  await Promise.all(others.map(async (held) => await uncompressed(held, bomb)));
  const growing = uncompressed(intake.begin(), bomb);
  intake.makeRoom(8 * megabyte, intake.begin());
  await t.throwsAsync(growing, { code: "STATE_BUSY" });
});
