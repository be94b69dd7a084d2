import { writeSync } from "node:fs";
import { Current } from "../../src/baseline/current.ts";
import { transact } from "../../src/sqlite/open.ts";
import { State, approval, at, rowFor, seenFile } from "../helpers/state.ts";

/** Works on a state directory until it is killed, and says on stdout what was committed, after it was. */
const state = new State(process.argv[2]);
const outbox = state.outbox();
const current = new Current(state.db);
const baseline = state.baseline();
for (let round = 0; ; round += 1) {
  for (let n = 0; n < 20; n += 1) {
    const entry = { kind: "alert", severity: "high", body: (seq: number) => ({ seq }) } as const;
    const { seq } = transact(state.db, () => {
      const head = outbox.append([entry], at);
      current.put(`/seen/${head.seq}`, seenFile(head.seq));
      return head;
    });
    writeSync(1, `record ${seq}\n`);
  }
  const also = ({ counter, digest }: { counter: number; digest: string }): void => {
    outbox.append([{ kind: "baseline", severity: "info", body: () => ({ counter, digest }) }], at);
  };
  if (round % 2 === 0) {
    using capture = baseline.begin({ replace: true });
    for (let n = 0; n < 2000; n += 200)
      capture.add(Array.from({ length: 200 }, (_, i) => [`/etc/${n + i}`, rowFor(n + i)] as const));
    writeSync(1, `baseline ${baseline.finish(capture, approval({ also })).counter}\n`);
  } else {
    const { counter } = baseline.accept([{ path: "/etc/7" }], approval({ also }));
    writeSync(1, `baseline ${counter}\n`);
  }
}
