import { IntegrityError } from "../core/error.ts";
import { readOperatorFile } from "../policy/operator-file.ts";

/** The text of a file that an operator gave, or of a pipe; the caller explains an errno. */
export async function readText(path: string): Promise<string> {
  const found = readOperatorFile(path, { pipe: true });
  if ("text" in found) return found.text;
  if (found.errno !== undefined)
    throw Object.assign(new Error(`${path}: ${found.errno}`), { code: found.errno });
  throw new IntegrityError("CONFIG_INVALID", found.problem);
}
