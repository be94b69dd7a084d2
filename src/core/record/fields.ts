/** Reads a body that a hostile node may have written: no member has the type that it should have. */
export type Fields = Readonly<Record<string, unknown>>;

export function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

/** The value at the end of these names, if it is text. */
export function textAt(value: unknown, ...names: readonly string[]): string | undefined {
  const found = valueAt(value, names);
  return typeof found === "string" ? found : undefined;
}

/** The value at the end of these names, if it is a finite number. */
export function numberAt(value: unknown, ...names: readonly string[]): number | undefined {
  const found = valueAt(value, names);
  return typeof found === "number" && Number.isFinite(found) ? found : undefined;
}

/** The value at the end of these names, if it is a list. */
export function listAt(value: unknown, ...names: readonly string[]): readonly unknown[] {
  const found = valueAt(value, names);
  return Array.isArray(found) ? (found as readonly unknown[]) : [];
}

function valueAt(value: unknown, names: readonly string[]): unknown {
  return names.reduce<unknown>(
    (at, name) => (Object.hasOwn(fieldsOf(at), name) ? fieldsOf(at)[name] : undefined),
    value,
  );
}
