import { checked, declare } from "./libc.ts";
import type { Call } from "./libc.ts";

const memfdCreate = declare<Call<[name: string, flags: number]>>(
  "int memfd_create(const char *name, unsigned int flags)",
);

/** A file without a name, in memory, whose descriptor a program that this one executes still has (memfd_create(2)). */
export function openMemory(name: string): number {
  return checked(memfdCreate(name, 0), "memfd_create", name);
}
