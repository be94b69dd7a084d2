/** A line of the Common Event Format, read as its specification says: the last word before an unescaped "=" is a key. */
export function parseCef(line: string): {
  readonly head: readonly string[];
  readonly extension: Readonly<Record<string, string>>;
} {
  if (/[\r\n]/.test(line)) throw new Error("more than one line");
  const parts = /^((?:(?:[^|\\]|\\.)*\|){7})(.*)$/s.exec(line);
  if (!parts) throw new Error("expected seven parts and an extension");
  const head = [...(parts[1] ?? "").matchAll(/((?:[^|\\]|\\.)*)\|/g)].map(([, part = ""]) =>
    part.replaceAll(/\\(.)/g, "$1"),
  );
  const extension: Record<string, string> = {};
  for (const [, key = "", value = ""] of (parts[2] ?? "").matchAll(
    /(?:^| )(\w+)=((?:[^=\\]|\\.)*?)(?= \w+=|$)/g,
  ))
    extension[key] = value.replaceAll(/\\(.)/g, "$1");
  return { head, extension };
}
