import { existsSync, readFileSync } from "node:fs";
import test from "ava";
import * as fc from "fast-check";
import { parseBtf, readBtf } from "../../../src/linux/bpf/btf.ts";

const file = "/sys/kernel/btf/vmlinux";
const withKernel = existsSync(file) ? test : test.skip;

interface Part {
  readonly name: string;
  /** A member's type; an enumeration's value. */
  readonly second: number;
  readonly offset?: number;
}

interface Type {
  readonly kind: number;
  readonly name?: string;
  readonly flag?: boolean;
  /** Size, or the type referred to. */
  readonly reference?: number;
  readonly parts?: readonly Part[];
  /** Bytes that belong to this kind. */
  readonly rest?: number;
}

const INT = { kind: 1, name: "int", reference: 4, rest: 4 } as const;

const words = (...numbers: number[]): Buffer => {
  const bytes = Buffer.alloc(4 * numbers.length);
  numbers.forEach((number, at) => bytes.writeInt32LE(number | 0, 4 * at));
  return bytes;
};

/** Writes what include/uapi/linux/btf.h describes. */
function blob(types: readonly Type[], change: (bytes: Buffer) => void = () => {}): Buffer {
  const names: string[] = [""];
  const nameAt = (name = ""): number => {
    if (!names.includes(name)) names.push(name);
    return names.slice(0, names.indexOf(name)).reduce((sum, one) => sum + one.length + 1, 0);
  };
  const body = Buffer.concat(
    types.map(({ kind, name, flag = false, reference = 0, parts = [], rest = 0 }) =>
      Buffer.concat([
        words(nameAt(name), (flag ? 1 << 31 : 0) | (kind << 24) | parts.length, reference),
        ...parts.map((part) =>
          words(
            nameAt(part.name),
            part.second,
            ...(part.offset === undefined ? [] : [part.offset]),
          ),
        ),
        Buffer.alloc(rest),
      ]),
    ),
  );
  const strings = Buffer.from(names.map((name) => `${name}\0`).join(""));
  const head = words(0x0001_eb9f, 24, 0, body.length, body.length, strings.length);
  const bytes = Buffer.concat([head, body, strings]);
  change(bytes);
  return bytes;
}

const member = (name: string, second: number, bits: number): Part => ({
  name,
  second,
  offset: bits,
});

/** 1 int, 2 const 4, 3 union, 4 struct without a name, 5 "task", 6 enum, 7 typedef. */
const sample: readonly Type[] = [
  INT,
  { kind: 10, reference: 4 },
  { kind: 5, parts: [member("a", 1, 0), member("b", 1, 0)] },
  { kind: 4, parts: [member("c", 1, 0), member("", 3, 64)] },
  {
    kind: 4,
    name: "task",
    parts: [member("first", 1, 0), member("", 2, 128), member("last", 1, 512)],
  },
  {
    kind: 6,
    name: "numbers",
    parts: [
      { name: "one", second: 1 },
      { name: "minus", second: -1 },
    ],
  },
  { kind: 8, name: "task", reference: 1 },
];

test("a member's offset is reported in bytes, anonymous structures, unions and qualifiers looked through", (t) => {
  const btf = parseBtf(blob(sample));
  const found = ["first", "c", "a", "b", "last"].map((name) => btf?.offsetOf("task", name));
  t.deepEqual(found, [0, 16, 24, 24, 64]);
});

test("what is not there has no offset", (t) => {
  const btf = parseBtf(blob(sample));
  t.is(btf?.offsetOf("task", "nothing"), undefined);
  t.is(btf?.offsetOf("nothing", "first"), undefined);
  t.is(btf?.offsetOf("tas", "first"), undefined);
  t.is(btf?.offsetOf("numbers", "one"), undefined);
});

test("a name of an enumeration has its value", (t) => {
  const btf = parseBtf(blob(sample));
  t.is(btf?.valueOf("numbers", "one"), 1);
  t.is(btf?.valueOf("numbers", "minus"), -1);
  t.is(btf?.valueOf("numbers", "two"), undefined);
  t.is(btf?.valueOf("task", "first"), undefined);
});

test("a bit field has no offset, and where one can be, the others' offsets are still read right", (t) => {
  const parts = [member("flag", 1, (1 << 24) | 8), member("plain", 1, 64), member("odd", 1, 3)];
  const btf = parseBtf(blob([INT, { kind: 4, name: "mixed", flag: true, parts }]));
  t.is(btf?.offsetOf("mixed", "flag"), undefined);
  t.is(btf?.offsetOf("mixed", "plain"), 8);
  t.is(btf?.offsetOf("mixed", "odd"), undefined);
});

test("of two structures of one name only what they agree in is reported", (t) => {
  const one = { kind: 4, name: "twin", parts: [member("same", 1, 64), member("other", 1, 0)] };
  const two = { kind: 4, name: "twin", parts: [member("same", 1, 64), member("other", 1, 32)] };
  const btf = parseBtf(blob([INT, one, two]));
  t.is(btf?.offsetOf("twin", "same"), 8);
  t.is(btf?.offsetOf("twin", "other"), undefined);
});

test("types that contain themselves come to an end", (t) => {
  const inside = Array.from({ length: 50 }, () => member("", 1, 0));
  const btf = parseBtf(blob([{ kind: 4, name: "loop", parts: inside }]));
  t.is(btf?.offsetOf("loop", "x"), undefined);
  const round = [
    { kind: 4, name: "loop", parts: [member("", 2, 0)] },
    { kind: 10, reference: 3 },
    { kind: 9, reference: 2 },
  ];
  t.is(parseBtf(blob(round))?.offsetOf("loop", "x"), undefined);
});

test("a reference to a type that is not there leads nowhere", (t) => {
  for (const second of [0, 3, 99, 0xffff_ffff]) {
    const btf = parseBtf(blob([INT, { kind: 4, name: "s", parts: [member("", second, 0)] }]));
    t.is(btf?.offsetOf("s", "x"), undefined);
  }
});

test("what is no BTF is none", (t) => {
  const cases: readonly (readonly [string, Buffer])[] = [
    ["nothing", Buffer.alloc(0)],
    ["zeros", Buffer.alloc(64)],
    ["big-endian", blob(sample, (bytes) => void bytes.writeUInt16BE(0xeb9f))],
    ["an unknown kind", blob([{ kind: 31 }])],
    ["types that reach too far", blob(sample, (bytes) => void bytes.writeUInt32LE(1e9, 12))],
    ["strings that reach too far", blob(sample, (bytes) => void bytes.writeUInt32LE(1e9, 20))],
    [
      "strings that begin too far",
      blob(sample, (bytes) => void bytes.writeUInt32LE(2 ** 32 - 1, 16)),
    ],
    ["parts that reach too far", blob([INT], (bytes) => void bytes.writeUInt32LE(0x0400_ffff, 28))],
  ];
  for (const [what, bytes] of cases) t.is(parseBtf(bytes), undefined, what);
  t.is(readBtf("/nowhere"), undefined);
  t.is(readBtf("/proc"), undefined);
});

test("cut off anywhere it is none", (t) => {
  const whole = blob(sample);
  for (let size = 0; size < whole.length; size += 1)
    t.is(parseBtf(whole.subarray(0, size)), undefined);
});

test("whatever bytes it is made of, it can be asked", (t) => {
  const whole = blob(sample);
  const edit = fc.tuple(fc.nat(whole.length - 1), fc.nat(255));
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 8 }), (edits) => {
      const bytes = Buffer.from(whole);
      for (const [at, value] of edits) bytes[at] = value;
      const btf = parseBtf(bytes);
      const found = [btf?.offsetOf("task", "a"), btf?.valueOf("numbers", "one")];
      return found.every((one) => one === undefined || Number.isInteger(one));
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

withKernel("this kernel's own structures are found", (t) => {
  const btf = readBtf();
  t.is(btf?.offsetOf("list_head", "prev"), 8);
  t.is(btf?.offsetOf("task_struct", "no such member"), undefined);
  for (const [struct, name] of [
    ["task_struct", "mm"],
    ["mm_struct", "exe_file"],
    ["inode", "i_ino"],
  ] as const)
    t.true((btf?.offsetOf(struct, name) ?? 0) > 0, `${struct}.${name}`);
  t.true((btf?.valueOf("cgroup_subsys_id", "memory_cgrp_id") ?? -1) >= 0);
});

withKernel("the kernel's description cut off in its middle is none", (t) => {
  const whole = readFileSync(file);
  for (const part of [0.1, 0.5, 0.9, 0.999])
    t.is(parseBtf(whole.subarray(0, Math.floor(whole.length * part))), undefined);
});
