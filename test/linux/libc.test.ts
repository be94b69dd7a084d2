import test from "ava";
import { IntegrityError } from "../../src/core/error.ts";
import { checked, declare, errnoName, syscallError } from "../../src/linux/libc.ts";
import type { Call } from "../../src/linux/libc.ts";

test("a number of errno has the kernel's name", (t) => {
  t.is(errnoName(13), "EACCES");
  t.is(errnoName(11), "EAGAIN");
  t.is(errnoName(95), "EOPNOTSUPP");
  t.is(errnoName(117), "EUCLEAN");
  t.is(errnoName(4000), "errno 4000");
});

test("the error of a system call names the call, the path and errno", (t) => {
  const error = syscallError("openat2", "/x", 13);
  t.is(error.code, "SYSCALL");
  t.is(error.message, "openat2 /x: EACCES");
  t.is(syscallError("poll", "", 4).message, "poll: EINTR");
});

test("a call that failed is an error with errno, one that succeeded is its result", (t) => {
  const close = declare<Call<[fd: number]>>("int close(int fd)");
  t.is(checked(7, "read", "/x"), 7);
  const error = t.throws(() => checked(close(-1), "close", "/x"), { instanceOf: IntegrityError });
  t.is(error.message, "close /x: EBADF");
});
