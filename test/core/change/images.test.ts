import test from "ava";
import type { Actor, Image } from "../../../src/core/change/hint.ts";
import { programOfChange } from "../../../src/core/change/images.ts";

const image = (exe: string, from: number): Image => ({
  id: `${from}`,
  from,
  since: 0,
  comm: exe,
  exe,
});
const ran = (...images: readonly Image[]): Actor => ({ pid: 7, images });
const tick = 4;

test("the one program that is noted to have changed the object is proven", (t) => {
  const actor = ran(image("grep", 200), image("bash", 100));
  const { exe, isProven, candidates } = programOfChange(actor, [undefined, 150], tick);
  t.deepEqual([exe, isProven, candidates], ["bash", true, undefined]);
});

test("where nothing is noted every program is a candidate", (t) => {
  const actor = ran(image("tee", 20_000), image("bash", 100));
  t.deepEqual(programOfChange(actor, [], tick).candidates, ["tee", "bash"]);
});

test("where earlier programs of the process are lost nothing is proven", (t) => {
  const actor = ran(image("tee", 300), image("env", 200), { id: "0", from: 0, since: 0, comm: "" });
  const { exe, isProven } = programOfChange(actor, [301, undefined, undefined], tick);
  t.deepEqual([exe, isProven], ["tee", undefined]);
});
