import { constants } from "node:os";
import koffi from "koffi";
import type { LibraryHandle } from "koffi";
import { IntegrityError } from "../core/error.ts";

/*
 * The C library, and errno. Only the files of this folder declare C functions, with `declare`.
 */

/** glibc's name, then musl's (Alpine). */
const libraryNames = ["libc.so.6", "libc.so", `libc.musl-${machine()}.so.1`];

let library: LibraryHandle | undefined;

function libc(): LibraryHandle {
  library ??= loadFirst();
  return library;
}

/** A C function with these arguments that returns an int or a long. */
export type Call<Arguments extends unknown[]> = (...values: Arguments) => number;

/**
 * One function of the C library, typed by the caller: `declare<Call<[fd: number]>>("int close(int)")`.
 * A variadic function, `syscall` above all, is declared with one fixed shape for each use. koffi knows no
 * `ssize_t` and no bare `unsigned`: write `long` and `uint32_t`.
 */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- a C function has no other type than its caller's word
export function declare<Native extends (...values: never[]) => unknown>(
  definition: string,
): Native {
  return libc().func(definition) as unknown as Native;
}

/** The errno of the last call. Valid only right after a call that failed. */
export function errno(): number {
  return koffi.errno();
}

const names = new Map<number, string>();
for (const [name, number] of Object.entries(constants.errno))
  if (!names.has(number)) names.set(number, name);
/** Names that Node lacks, or for which it has the less usual one (asm-generic/errno.h). */
for (const [name, number] of [
  ["EOPNOTSUPP", 95],
  ["EUCLEAN", 117],
  ["EREMOTEIO", 121],
  ["ENOMEDIUM", 123],
  ["ENOKEY", 126],
  ["EKEYEXPIRED", 127],
  ["EKEYREVOKED", 128],
  ["EKEYREJECTED", 129],
  ["EHWPOISON", 133],
] as const)
  names.set(number, name);

/** 13 -> "EACCES" */
export function errnoName(number: number): string {
  return names.get(number) ?? `errno ${number}`;
}

/** `syscallError("openat2", "/x", 13)`: SYSCALL "openat2 /x: EACCES". The path may be empty. */
export function syscallError(call: string, path: string, number: number): IntegrityError {
  const what = path === "" ? call : `${call} ${path}`;
  return new IntegrityError("SYSCALL", `${what}: ${errnoName(number)}`);
}

/** The result of a call that returns -1 on failure; then an error with the call, the path and errno's name. */
export function checked(result: number, call: string, path: string): number {
  if (result < 0) throw syscallError(call, path, errno());
  return result;
}

function machine(): string {
  return process.arch === "arm64" ? "aarch64" : "x86_64";
}

function loadFirst(): LibraryHandle {
  let cause: unknown;
  for (const name of libraryNames) {
    try {
      return koffi.load(name);
    } catch (error) {
      cause = error;
    }
  }
  throw new IntegrityError(
    "UNSUPPORTED",
    `C library: expected one of ${libraryNames.join(", ")}, found none`,
    { hint: "run on Linux with glibc or musl", cause },
  );
}
