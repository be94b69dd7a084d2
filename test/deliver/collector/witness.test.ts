import test from "ava";
import { generateKeyPairSync } from "node:crypto";
import { noteKey, printVkey } from "../../../src/core/tlog/note.ts";
import { signCheckpoint } from "../../../src/core/tlog/checkpoint.ts";
import { Witness } from "../../../src/deliver/collector/witness.ts";

const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const root = (text: string): string => text.repeat(32);
const note = (size: number, of: string, key = privateKey): string =>
  signCheckpoint({ origin: "log", size, root: root(of) }, key);

function witness(): Witness {
  let kept: string | undefined;
  const made = new Witness({ get: () => kept, set: (text) => (kept = text) });
  made.trust(printVkey(noteKey("log", publicKey)));
  return made;
}

test("the first checkpoint is taken, and its size is what the next must go on from", (t) => {
  const one = witness();
  t.is(one.size(), undefined);
  t.is(one.fault({ checkpoint: note(5, "aa") }), undefined);
  t.is(one.size(), 5);
});

test("a log that shrank, changed, or does not show how it goes on is a fault", (t) => {
  const cases = [
    [note(4, "aa"), /shrank from 5 records to 4/],
    [note(5, "bb"), /another root at 5 records/],
    [note(6, "cc"), /nothing shows that the log goes on/],
    [note(6, "cc", generateKeyPairSync("ed25519").privateKey), /not signed by the collector's key/],
    ["nonsense", /not signed/],
  ] as const;
  for (const [checkpoint, why] of cases) {
    const one = witness();
    one.fault({ checkpoint: note(5, "aa") });
    t.regex(one.fault({ checkpoint }) ?? "", why);
    t.is(one.size(), 5, "the known tree stays");
  }
  const one = witness();
  one.fault({ checkpoint: note(5, "aa") });
  t.regex(one.fault({ checkpoint: note(6, "cc"), consistency: [root("00")] }) ?? "", /log/);
});

test("the same checkpoint again is none, and without a trusted key none is judged", (t) => {
  const one = witness();
  one.fault({ checkpoint: note(5, "aa") });
  t.is(one.fault({ checkpoint: note(5, "aa") }), undefined);
  let kept: string | undefined = "not JSON";
  const fresh = new Witness({ get: () => kept, set: (text) => (kept = text) });
  t.is(fresh.fault({ checkpoint: note(1, "aa") }), undefined);
});

test("a witness that forgets takes another log of the same collector, and goes on from there", (t) => {
  const one = witness();
  one.fault({ checkpoint: note(5, "aa") });
  one.forget();
  t.is(one.size(), undefined);
  t.true(one.knowsKey());
  const stranger = generateKeyPairSync("ed25519").privateKey;
  t.regex(one.fault({ checkpoint: note(3, "bb", stranger) }) ?? "", /not signed/);
  t.is(one.fault({ checkpoint: note(3, "bb") }), undefined);
  t.is(one.size(), 3);
  t.regex(one.fault({ checkpoint: note(2, "cc") }) ?? "", /shrank from 3 records to 2/);
});
