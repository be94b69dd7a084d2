import test from "ava";
import { IntegrityError } from "../../../src/core/error.ts";
import { assemble, exit, mov } from "../../../src/linux/bpf/assembler.ts";
import { createMap, loadProgram, lookup, update } from "../../../src/linux/bpf/bpf.ts";
import { close } from "../../../src/linux/files.ts";

const shape = {
  type: "lruHash",
  name: "fim_test",
  keySize: 4,
  valueSize: 8,
  maxEntries: 16,
} as const;

/** A kernel without BPF, or without the right to it, refuses the map: then there is nothing to test. */
const isThere = canMakeMaps();
const whenThere = isThere ? test : test.skip;

function canMakeMaps(): boolean {
  try {
    close(createMap(shape));
    return true;
  } catch {
    return false;
  }
}

whenThere("a value that was put under a key is found, another key is not", (t) => {
  const map = createMap(shape);
  try {
    const value = Buffer.alloc(8);
    update(map, Buffer.of(1, 0, 0, 0), Buffer.from("12345678"));
    t.true(lookup(map, Buffer.of(1, 0, 0, 0), value));
    t.is(value.toString(), "12345678");
    t.false(lookup(map, Buffer.of(2, 0, 0, 0), value));
  } finally {
    close(map);
  }
});

whenThere("a program that the verifier accepts is loaded", (t) => {
  const fd = loadProgram("fim_test", assemble([mov("r0", 0), exit()]));
  t.true(fd > 2);
  close(fd);
});

whenThere("a program that the verifier refuses fails with the verifier's words", (t) => {
  const error = t.throws(() => loadProgram("fim_test", assemble([exit()])), {
    instanceOf: IntegrityError,
    message: /PROG_LOAD fim_test: E/,
  });
  t.true(error?.cause instanceof Error && /R0 !read_ok/.test(error.cause.message));
});
