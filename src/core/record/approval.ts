import { Buffer } from "node:buffer";
import { decodePath, showPath } from "../path.ts";
import { present } from "../present.ts";

/** A state that an allowed writer left at a path: approved by the policy, not by a person. */
export interface ApprovedState {
  readonly path: string;
  /** The baseline's row for the state. Absent: nothing is at the path. */
  readonly row?: string;
  /** "<policy>/<id>" */
  readonly rule: string;
  readonly writer: { readonly pid: number; readonly exe?: string };
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** Approvals that one record holds, so that none grows without bound. */
export const approvalsInRecord = 50;

/** The body of a record of kind "approval" (docs/formats.md). */
export function approvalBody(approvals: readonly ApprovedState[]): unknown {
  return {
    approved: approvals.map(({ path, row, rule, writer, at }) => {
      const { text, base64 } = showPath(path);
      const time = new Date(at).toISOString();
      const state = row === undefined ? undefined : (JSON.parse(row) as unknown);
      return present({ path: text, pathBase64: base64, rule, writer, at: time, row: state });
    }),
  };
}

/** The approvals of a record's body. What is not of the form is left out: it approves nothing. */
export function parseApprovals(body: unknown): readonly ApprovedState[] {
  const { approved } = fieldsOf(body);
  return Array.isArray(approved) ? approved.flatMap((one) => parse(fieldsOf(one))) : [];
}

function parse(one: Fields): readonly ApprovedState[] {
  const { path: text, pathBase64, rule, row } = one;
  const { pid, exe } = fieldsOf(one["writer"]);
  const at = Date.parse(String(one["at"]));
  if (typeof text !== "string" || typeof rule !== "string" || typeof pid !== "number") return [];
  if (Number.isNaN(at) || (row !== undefined && typeof row !== "object")) return [];
  const path =
    typeof pathBase64 === "string" ? decodePath(Buffer.from(pathBase64, "base64")) : text;
  const writer = { pid, ...(typeof exe === "string" && { exe }) };
  return [{ path, rule, writer, at, ...(row !== undefined && { row: JSON.stringify(row) }) }];
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}
