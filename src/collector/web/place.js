/*
 * The address holds the view, the alert that is open and every filter, so that a pasted link shows the same.
 */

const views = /** @type {const} */ (["alerts", "nodes", "compare", "evidence"]);

const filterNames = /** @type {const} */ ([
  "state",
  "severity",
  "cluster",
  "node",
  "change",
  "type",
  "path",
  "rule",
  "incident",
  "pod",
  "program",
  "since",
  "until",
  "equal",
]);

/** @typedef {Partial<Record<(typeof filterNames)[number], string>>} Filters */
/** @typedef {{ readonly view: (typeof views)[number], readonly uid?: string, readonly filters: Filters }} Place */

/**
 * @param {{ readonly pathname: string, readonly search: string }} url
 * @returns {Place}
 */
export function placeOf({ pathname, search }) {
  const [, first = "", second = ""] = pathname.split("/");
  const view = views.find((one) => one === first) ?? "alerts";
  const given = new URLSearchParams(search);
  /** @type {Filters} */
  const filters = {};
  for (const name of filterNames) {
    const value = given.get(name);
    if (value) filters[name] = value.slice(0, 4096);
  }
  const isUid = first === "alerts" && /^[\w-]{1,64}$/.test(second);
  return { view, filters, ...(isUid && { uid: second }) };
}

/**
 * @param {Place} place
 * @returns {string}
 */
export function addressOf({ view, uid, filters }) {
  const path = uid === undefined ? (view === "alerts" ? "/" : `/${view}`) : `/${view}/${uid}`;
  const query = new URLSearchParams();
  for (const name of filterNames) {
    const value = filters[name];
    if (value) query.set(name, value);
  }
  return query.size > 0 ? `${path}?${query}` : path;
}

/**
 * The query of GET /v1/alerts and /v1/stream. Without filters: what is open and more than information.
 * @param {Filters} filters
 * @returns {URLSearchParams}
 */
export function queryOf({ state = "open", severity = "low", path, ...others }) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(others))
    if (value && name !== "equal") query.set(name, value);
  if (state !== "all") query.set("acknowledged", String(state === "acknowledged"));
  // One word is the least severity, "critical" as well as "any"; "only-high" is that one, a list names each.
  if (/^only-|,/.test(severity)) query.set("severity", severity.replace("only-", ""));
  else if (severity !== "any") query.set("minSeverity", severity);
  if (path) query.set("path", /[*?]|^\//.test(path) ? path : `*${path}*`);
  return query;
}

/**
 * True if both show the same list.
 * @param {Filters} a
 * @param {Filters} b
 */
export function isSameList(a, b) {
  return String(queryOf(a)) === String(queryOf(b));
}
