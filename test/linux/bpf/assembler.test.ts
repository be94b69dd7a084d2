import test from "ava";
import {
  add,
  and,
  assemble,
  at,
  call,
  exit,
  jump,
  jumpIfAbove,
  jumpIfNegative,
  jumpIfZero,
  label,
  ldx,
  loadMap,
  mov,
  shiftRight,
  stx,
} from "../../../src/linux/bpf/assembler.ts";
import type { Line } from "../../../src/linux/bpf/assembler.ts";

/** Written out by hand from the tables of RFC 9669: opcode, source and destination register, offset, value. */
const vectors: readonly (readonly [string, Line, string])[] = [
  ["r0 = 0", mov("r0", 0), "b700000000000000"],
  ["r1 = -1", mov("r1", -1), "b7010000ffffffff"],
  ["r6 = r1", mov("r6", "r1"), "bf16000000000000"],
  ["r2 += -8", add("r2", -8), "07020000f8ffffff"],
  ["r3 += r6", add("r3", "r6"), "0f63000000000000"],
  ["r3 &= 0xffff", and("r3", 0xffff), "57030000ffff0000"],
  ["r0 >>= 32", shiftRight("r0", 32), "7700000020000000"],
  ["r3 = *(u32 *)(r6 + 8)", ldx("w", "r3", at("r6", 8)), "6163080000000000"],
  ["r1 = *(u64 *)(r10 - 16)", ldx("dw", "r1", at("r10", -16)), "79a1f0ff00000000"],
  ["r1 = *(u16 *)(r2 + 2)", ldx("h", "r1", at("r2", 2)), "6921020000000000"],
  ["r1 = *(u8 *)(r2 + 1)", ldx("b", "r1", at("r2", 1)), "7121010000000000"],
  ["*(u32 *)(r10 - 4) = r0", stx("w", at("r10", -4), "r0"), "630afcff00000000"],
  ["*(u64 *)(r10 - 8) = r1", stx("dw", at("r10", -8), "r1"), "7b1af8ff00000000"],
  ["r1 = map 7", loadMap("r1", 7), "18110000070000000000000000000000"],
  ["call bpf_map_lookup_elem", call("map_lookup_elem"), "8500000001000000"],
  ["call bpf_get_current_task", call("get_current_task"), "8500000023000000"],
  ["call bpf_probe_read_kernel", call("probe_read_kernel"), "8500000071000000"],
  ["call bpf_probe_read_kernel_str", call("probe_read_kernel_str"), "8500000073000000"],
  ["exit", exit(), "9500000000000000"],
];

for (const [text, line, bytes] of vectors)
  test(`"${text}" is ${bytes}`, (t) => {
    t.is(assemble([line]).toString("hex"), bytes);
  });

test("a jump counts the instructions between itself and its label, a map's two included", (t) => {
  const forward = [jumpIfZero("r0", "end"), loadMap("r1", 1), mov("r0", 0), label("end"), exit()];
  t.is(assemble(forward).readInt16LE(2), 3);
  const back = [label("again"), mov("r0", 0), jump("again")];
  t.is(assemble(back).readInt16LE(8 + 2), -2);
});

const first = (line: Line) => assemble([line, label("end"), exit()]).toString("hex", 0, 8);

test("a condition is in the opcode, its number in the value", (t) => {
  t.is(first(jumpIfZero("r3", "end")), "1503000000000000");
  t.is(first(jumpIfNegative("r0", "end")), "c500000000000000");
  t.is(first(jumpIfAbove("r8", 384, "end")), "2508000080010000");
  t.is(first(jump("end")), "0500000000000000");
});

test("a label that is missing or there twice is refused", (t) => {
  t.throws(() => assemble([jump("nowhere")]), { message: /nowhere: expected one, found none/ });
  t.throws(() => assemble([label("a"), label("a")]), { message: /a: expected one, found two/ });
});
