import { el, hostile } from "./dom.js";
import { numberAt, objectAt, textAt, textsAt } from "./read.js";

/**
 * Before and after, the differing facts only; of a file that is new or gone, what it is or was.
 * @param {unknown} event
 */
export function changeTable(event) {
  const fim = objectAt(event, "unmapped", "fim");
  const [before, after] = [objectAt(fim, "before"), objectAt(fim, "after")];
  if (!before && !after) return undefined;
  const rows = rowsOf(before, after);
  if (rows.length === 0) return undefined;
  const heads = [before && "Before", after && "After"].filter((one) => one !== undefined);
  const table = el(
    "div",
    { class: "scroll-x" },
    el(
      "table",
      { class: "change" },
      el(
        "thead",
        {},
        el("tr", {}, el("td", {}), ...heads.map((one) => el("th", { scope: "col" }, one))),
      ),
      el(
        "tbody",
        {},
        ...rows.map((row) =>
          el(
            "tr",
            {},
            el("th", { scope: "row" }, row.label),
            before && cell(row.before, "before"),
            after && cell(row.after, "after"),
          ),
        ),
      ),
    ),
  );
  return el("div", {}, table, unifiedOf(event, rows));
}

/**
 * @typedef {object} Row
 * @property {string} label
 * @property {string | undefined} before
 * @property {string | undefined} after
 */

/** The differing facts only. @param {Seen | undefined} before @param {Seen | undefined} after @returns {readonly Row[]} */
function rowsOf(before, after) {
  return facts
    .map(({ label, of }) => ({ label, before: before && of(before), after: after && of(after) }))
    .filter((one) => (before && after ? one.before !== one.after : (one.before ?? one.after)));
}

const sides = new Map([
  ["-", "minus"],
  ["+", "plus"],
]);

/** The same to read from top to bottom, or to paste into a ticket. @param {unknown} event @param {readonly Row[]} rows */
function unifiedOf(event, rows) {
  const path = textAt(event, "unmapped", "fim", "path") ?? "";
  const fim = objectAt(event, "unmapped", "fim");
  const lines = [
    { sign: "--- ", text: objectAt(fim, "before") ? path : "/dev/null" },
    { sign: "+++ ", text: objectAt(fim, "after") ? path : "/dev/null" },
    ...rows.flatMap(({ label, before, after }) => [
      ...(before === undefined ? [] : [{ sign: "-", text: `${label}: ${before}` }]),
      ...(after === undefined ? [] : [{ sign: "+", text: `${label}: ${after}` }]),
    ]),
  ];
  return el(
    "details",
    { class: "as-text" },
    el("summary", {}, "As a unified difference"),
    el(
      "pre",
      { class: "unified", tabindex: "0" },
      ...lines.map(({ sign, text }) =>
        el("span", { class: sides.get(sign) }, sign, hostile(text, 4096)),
      ),
    ),
  );
}

/** @param {string | undefined} value @param {string} side */
function cell(value, side) {
  return el(
    "td",
    { class: `value ${side}` },
    value === undefined ? el("span", { class: "none" }, "none") : hostile(value, 200),
  );
}

/** @typedef {Readonly<Record<string, unknown>>} Seen */

/** @type {readonly { readonly label: string, readonly of: (seen: Seen) => string | undefined }[]} */
const facts = [
  { label: "Type", of: (seen) => textAt(seen, "type") },
  { label: "Mode", of: modeOf },
  { label: "Owner", of: (seen) => pairOf(seen) },
  { label: "Size", of: (seen) => sizeOf(numberAt(seen, "size")) },
  { label: "SHA-256", of: (seen) => textAt(seen, "sha256") },
  { label: "Target", of: (seen) => textAt(seen, "target") },
  { label: "ACL", of: (seen) => textAt(seen, "acl") },
  { label: "Capabilities", of: (seen) => textAt(seen, "capabilities") },
  { label: "SELinux", of: (seen) => textAt(seen, "selinux") },
  {
    label: "Attributes",
    of: (seen) =>
      Object.entries(objectAt(seen, "xattrs") ?? {})
        .map(([name, digest]) => `${name} ${String(digest).slice(0, 12)}`)
        .join(", ") || undefined,
  },
  { label: "Flags", of: (seen) => textsAt(seen, "flags").join(", ") || undefined },
  { label: "Links", of: (seen) => numberAt(seen, "links")?.toString() },
  { label: "Unreadable", of: (seen) => textAt(seen, "unreadable") },
  { label: "Changed at", of: (seen) => textAt(seen, "mtime") },
  { label: "Inode", of: (seen) => textAt(seen, "inode") },
];

/** "0644 rw-r--r--" @param {Seen} seen */
function modeOf(seen) {
  const mode = textAt(seen, "mode");
  if (mode === undefined || !/^[0-7]{4}$/.test(mode)) return mode;
  const letters = Array.from(mode.slice(1), (digit) => {
    const bits = Number(digit);
    return `${bits & 4 ? "r" : "-"}${bits & 2 ? "w" : "-"}${bits & 1 ? "x" : "-"}`;
  });
  const special = [
    "",
    " sticky",
    " setgid",
    " setgid sticky",
    " setuid",
    " setuid sticky",
    " setuid setgid",
    " setuid setgid sticky",
  ];
  return `${mode} ${letters.join("")}${special[Number(mode[0])]}`;
}

/** @param {Seen} seen */
function pairOf(seen) {
  const [uid, gid] = [numberAt(seen, "uid"), numberAt(seen, "gid")];
  return uid === undefined ? undefined : `${uid}:${gid}${uid === 0 ? " (root)" : ""}`;
}

/** @param {number | undefined} size */
function sizeOf(size) {
  return size === undefined ? undefined : `${size.toLocaleString("en")} bytes`;
}
