import { IntegrityError } from "../core/error.ts";

export type ReadFile = (path: string) => Promise<string>;

/** Why a file cannot be read or used, without its content. */
export function reasonOf(error: unknown): string {
  if (error instanceof IntegrityError) return error.message;
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOENT") return "no such file";
  return code === undefined ? String(error) : `cannot be read (${code})`;
}

/** Reports a file of certificate authorities that cannot be read. */
export async function readAuthority(
  ca: string,
  readFile: ReadFile,
  problems: string[],
): Promise<void> {
  await readFile(ca).catch((error: unknown) => problems.push(`ca ${ca}: ${reasonOf(error)}`));
}
