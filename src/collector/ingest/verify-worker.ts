import { verifyParts } from "./verify.ts";
import type { Verified, VerifyJob } from "./verify.ts";

export { faultOf } from "./proof-check.ts";

/** A job whose records lie in one buffer. */
export interface Task extends Omit<VerifyJob, "parts"> {
  readonly memory: ArrayBuffer;
  readonly parts: readonly {
    readonly chain: string;
    readonly envelope: VerifyJob["parts"][number]["envelope"];
    /** Where each record begins, and how long it is. */
    readonly places: readonly (readonly [from: number, length: number])[];
  }[];
}

/** The work of a verifier's thread; `faultOf` is the other. */
export default function verify({ memory, parts, ...job }: Task): readonly Verified[] {
  const at = ([from, length]: readonly [number, number]): Buffer =>
    Buffer.from(memory, from, length);
  return verifyParts({
    ...job,
    parts: parts.map(({ places, ...part }) => ({ ...part, records: places.map(at) })),
  });
}
