/** A mount at, above or inside a watched path, as it was approved. */
export interface ApprovedMount {
  /** Where, as the node has it. */
  readonly path: string;
  /** The path inside the mounted filesystem: shows a bind mount. */
  readonly root: string;
  readonly type: string;
  readonly source: string;
}

/** The approved mounts, and the mount table that showed them: another table shows other mounts. */
export interface ApprovedMounts {
  readonly table: { readonly file: string; readonly prefix: string };
  readonly points: readonly ApprovedMount[];
}

export function isApprovedMounts(value: unknown): value is ApprovedMounts {
  if (typeof value !== "object" || value === null) return false;
  const { table, points } = value as Partial<ApprovedMounts>;
  return (
    typeof table?.file === "string" &&
    typeof table.prefix === "string" &&
    Array.isArray(points) &&
    points.every(isApprovedMount)
  );
}

function isApprovedMount(value: Partial<ApprovedMount> | null): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    [value.path, value.root, value.type, value.source].every((text) => typeof text === "string")
  );
}
