import { isMoreSevere } from "./severity.js";

/**
 * The changes of one incident are one row: the first of them, or a more severe one.
 * @typedef {object} Group
 * @property {import("./alert.js").Row} lead
 * @property {readonly string[]} uids
 */

/** The rows of the list, newest first, without doubles. */
export class Groups {
  /** @type {Group[]} */
  all = [];
  /** @type {Set<string>} */
  #seen = new Set();
  /** @type {Map<string, Group>} */
  #byIncident = new Map();
  #isFolding;

  /** @param {{ readonly isFolding: boolean }} options */
  constructor({ isFolding }) {
    this.#isFolding = isFolding;
  }

  /** @param {string} uid */
  has(uid) {
    return this.#seen.has(uid);
  }

  /**
   * Older alerts join the incident that is above them already.
   * @param {readonly import("./alert.js").Row[]} rows newest first
   */
  append(rows) {
    for (const row of rows) this.#add(row, this.all, this.#byIncident);
  }

  /**
   * Newer alerts come on top, folded among themselves: one that joined a row further down would not be seen.
   * @param {readonly import("./alert.js").Row[]} rows oldest first
   */
  prepend(rows) {
    /** @type {Group[]} */
    const groups = [];
    const byIncident = new Map();
    for (const row of rows.toReversed()) this.#add(row, groups, byIncident);
    this.all.unshift(...groups);
  }

  /** @param {string} uid */
  indexOf(uid) {
    return this.all.findIndex(({ uids }) => uids.includes(uid));
  }

  /** @param {readonly string[]} uids */
  acknowledge(uids) {
    this.all = this.all.map((group) =>
      uids.includes(group.lead.uid)
        ? { ...group, lead: { ...group.lead, acknowledged: true } }
        : group,
    );
  }

  /**
   * @param {import("./alert.js").Row} row
   * @param {Group[]} groups
   * @param {Map<string, Group>} byIncident
   */
  #add(row, groups, byIncident) {
    if (this.#seen.has(row.uid)) return;
    this.#seen.add(row.uid);
    const known =
      this.#isFolding && row.incident !== undefined ? byIncident.get(row.incident) : undefined;
    if (known) {
      const group = /** @type {{ lead: typeof row, uids: string[] }} */ (known);
      group.uids.push(row.uid);
      if (isMoreSevere(row.severity, group.lead.severity)) group.lead = row;
      return;
    }
    const group = { lead: row, uids: [row.uid] };
    groups.push(group);
    if (row.incident !== undefined) byIncident.set(row.incident, group);
  }
}
