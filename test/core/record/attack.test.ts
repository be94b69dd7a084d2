import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { attackText, readAttack, toAttack } from "../../../src/core/record/attack.ts";

const baselines = join(import.meta.dirname, "../../../baselines");

test("every id that a shipped policy uses has its name and its tactics", (t) => {
  const texts = globSync("*.yaml", { cwd: baselines }).map((file) =>
    readFileSync(join(baselines, file), "utf8"),
  );
  const lists = texts.flatMap((text) => [...text.matchAll(/\battack: *\[([^\]]*)\]/g)]);
  const ids = new Set(lists.flatMap(([, list = ""]) => list.split(",").map((id) => id.trim())));
  t.true(ids.size > 30);
  for (const id of ids) {
    const { tactics, technique, subTechnique } = readAttack(id);
    t.truthy(technique?.name, id);
    t.is(id.includes("."), subTechnique?.name !== undefined, id);
    t.true(tactics.length > 0 && tactics.every(({ name }) => name !== undefined), id);
  }
});

test("OCSF gets the technique, its sub-technique and the first of its tactics by name", (t) => {
  t.deepEqual(toAttack("T1574.006"), {
    tactic: { uid: "TA0003", name: "Persistence" },
    technique: { uid: "T1574", name: "Hijack Execution Flow" },
    sub_technique: { uid: "T1574.006", name: "Dynamic Linker Hijacking" },
  });
  t.deepEqual(toAttack("TA0003"), { tactic: { uid: "TA0003", name: "Persistence" } });
});

test("people read the id with its name and tactics", (t) => {
  t.is(attackText("T1610"), "T1610 Deploy Container (Execution, Defense Evasion)");
  t.is(attackText("TA0003"), "TA0003 Persistence");
});

test("an id that is not in the table stays as it is", (t) => {
  t.deepEqual(toAttack("T9999.001"), {
    technique: { uid: "T9999" },
    sub_technique: { uid: "T9999.001" },
  });
  t.is(attackText("T9999"), "T9999");
  t.is(attackText("constructor"), "constructor");
  t.deepEqual(readAttack("T1610.constructor").subTechnique, { id: "T1610.constructor" });
});
