import { checked, declare } from "./libc.ts";
import type { Call } from "./libc.ts";

const memfdCreate = declare<Call<[name: string, flags: number]>>(
  "int memfd_create(const char *name, unsigned int flags)",
);

/** A nameless file in memory, whose descriptor survives an execve of this process (memfd_create(2)). */
export function openMemory(name: string): number {
  return checked(memfdCreate(name, 0), "memfd_create", name);
}
