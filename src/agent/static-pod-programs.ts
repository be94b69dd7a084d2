import { ProgramDigests } from "../attribute/program-digests.ts";
import type { Actor } from "../core/change/hint.ts";
import { printable } from "../core/path.ts";
import { isSameProgram } from "../core/record/program.ts";
import type { ApprovedProgram } from "../core/record/program.ts";
import { staticWriters } from "./commands/static-programs.ts";
import type { AgentContext } from "../reconcile/context.ts";
import { isInStaticPod } from "../reconcile/approved/writer-identity.ts";

/** Compares the programs of static pods with the approved ones: a path inside a container says nothing. */
export class StaticPodPrograms {
  readonly #context: Pick<AgentContext, "node" | "state" | "health">;
  readonly #digests = new ProgramDigests();
  #approved: { readonly counter: number; readonly programs: readonly ApprovedProgram[] } = {
    counter: -1,
    programs: [],
  };

  readonly #writers: ReadonlySet<string>;

  constructor(context: Pick<AgentContext, "node" | "state" | "health">) {
    this.#context = context;
    this.#writers = staticWriters(context.node);
  }

  async learn(actors: readonly Actor[]): Promise<void> {
    await this.#digests.learn(actors);
  }

  /** Whether the actor runs an approved program in a static pod whose manifest is approved. */
  isInStaticPod(actor: Actor): boolean {
    const { container, exe } = actor;
    if (!container || exe === undefined || !isInStaticPod(container, this.#context)) return false;
    const sha256 = this.#digests.of(actor);
    if (sha256 === undefined) return false;
    const isApproved = this.#programs().some((one) => isSameProgram(one, { exe, sha256 }));
    if (this.#writers.has(exe)) this.#report(exe, isApproved ? undefined : sha256);
    return isApproved;
  }

  /** `unapproved`: the digest that was never approved. */
  #report(exe: string, unapproved: string | undefined): void {
    const { health } = this.#context;
    const program = printable(exe);
    if (unapproved === undefined) return health.over(`static pods ${program}`);
    const remedy = `fim-agent accept ${program} --reason TEXT`;
    health.trouble(
      `static pods ${program}`,
      `it runs with a digest that was never approved (${unapproved}); if that is planned: ${remedy}`,
    );
  }

  #programs(): readonly ApprovedProgram[] {
    const { baseline } = this.#context.state;
    const counter = baseline.counter();
    if (counter !== this.#approved.counter)
      this.#approved = { counter, programs: baseline.signed()?.programs ?? [] };
    return this.#approved.programs;
  }
}
