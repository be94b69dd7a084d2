import test from "ava";
import type { ExecutionContext } from "ava";

type Body = (t: ExecutionContext) => void | Promise<void>;
type Declare = (title: string, body: Body) => void;

/** Declares a test; with a reason one that is skipped and says why in its title. */
export function needing(reason: string | undefined, order?: "serial"): Declare {
  const declare = order === "serial" ? test.serial : test;
  return (title, body) => {
    if (reason === undefined) declare(title, body);
    else declare.skip(`${title} (${reason})`, body);
  };
}
