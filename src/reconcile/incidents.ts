import type { Actor } from "../core/change/hint.ts";
import { procedureOf } from "../core/change/incident.ts";

interface Incident {
  readonly id: string;
  readonly comm: string;
  /** Milliseconds since 1970: of its last change. */
  readonly at: number;
}

const mostIncidents = 1000;

/** Which incident a change belongs to: that of its procedure, if one of its changes was not long ago. */
export class Incidents {
  readonly #next: () => string;
  /** By the procedure's pid, the last changed at the end. */
  readonly #going = new Map<number, Incident>();

  /** `next` gives an id that was not used before. */
  constructor(next: () => string) {
    this.#next = next;
  }

  idOf(actor: Actor, at: number): string {
    const { pid, comm, patience } = procedureOf(actor);
    const known = this.#going.get(pid);
    const goesOn = known?.comm === comm && Math.abs(at - known.at) < patience;
    const id = goesOn ? known.id : this.#next();
    this.#going.delete(pid);
    this.#going.set(pid, { id, comm, at });
    const [oldest] = this.#going.keys();
    if (this.#going.size > mostIncidents && oldest !== undefined) this.#going.delete(oldest);
    return id;
  }
}
