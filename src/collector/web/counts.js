import { get } from "./api.js";
import { badge, byId, el, fill, hostile } from "./dom.js";
import { addressOf, queryOf } from "./place.js";
import { isTrueAt, numberAt, objectAt, textAt } from "./read.js";
import { severityOf } from "./severity.js";
import { many } from "./text.js";
import { timesOf } from "./times.js";

/** @typedef {import("./place.js").Filters} Filters */

/** What is counted, in the order in which it helps. */
const lists = /** @type {const} */ ([
  ["rule", "Rules"],
  ["program", "Programs"],
  ["node", "Nodes"],
  ["pod", "Pods"],
  ["path", "Files"],
  ["change", "Changes"],
  ["severity", "Severities"],
]);

/** @typedef {(typeof lists)[number][0]} Column */

/** Values of each that are shown. */
const mostShown = 5;

/** From this width on the counts stand beside the list. */
const wide = matchMedia("(min-width: 900px)");

/** What the alerts of the list have in common. Each line is a filter. */
export class CountsPanel {
  /** Stands beside the list; is empty where the window is narrow. */
  element = el("section", { class: "counts", "aria-label": "Counts" });
  #fold = /** @type {HTMLDetailsElement} */ (byId("counts-fold"));
  /** @type {Filters} */
  #filters = {};
  /** The counts are not those of the list. */
  #isOld = false;
  /** Rises with each list: an answer for another one is dropped. */
  #generation = 0;
  /** True where an alert takes the place. */
  #isCovered = false;

  constructor() {
    this.#fold.addEventListener("toggle", () => void this.#read());
    wide.addEventListener("change", () => {
      this.#isOld = true;
      void this.#read();
    });
  }

  /** The list shows these alerts now. @param {Filters} filters */
  listed(filters) {
    this.#filters = filters;
    this.#isOld = true;
    this.#generation += 1;
    void this.#read();
  }

  /** @param {boolean} isCovered an alert stands where the counts were */
  cover(isCovered) {
    this.#isCovered = isCovered;
    void this.#read();
  }

  /** Reads the counts where a person sees them. */
  async #read() {
    const isSeen = wide.matches ? !this.#isCovered : this.#fold.open;
    if (!this.#isOld || !isSeen) return;
    this.#isOld = false;
    const generation = this.#generation;
    try {
      const counts = await get(`/v1/counts?${queryOf(this.#filters)}`);
      if (generation === this.#generation) this.#draw(contentOf(counts, this.#filters));
    } catch (error) {
      if (generation !== this.#generation) return;
      this.#isOld = true;
      const reason = error instanceof Error ? error.message : String(error);
      this.#draw([el("p", { class: "hint" }, `These alerts are not counted: ${reason}`)]);
    }
  }

  /** @param {readonly import("./dom.js").Child[]} content */
  #draw(content) {
    const place = wide.matches ? this.element : byId("counts");
    for (const other of [this.element, byId("counts")]) fill(other);
    fill(place, ...content);
  }
}

/** @param {unknown} counts @param {Filters} filters */
function contentOf(counts, filters) {
  const counted = numberAt(counts, "counted") ?? 0;
  const shown = lists
    .filter(([column]) => !isFixed(column, filters))
    .map(([column, title]) => listOf(column, { title, counts, counted, filters }))
    .filter((one) => one !== undefined);
  const times = timesOf(counts, filters);
  if (shown.length === 0 && !times) return [];
  const of = isTrueAt(counts, "isAll")
    ? many(counted, "alert")
    : `the newest ${counted.toLocaleString("en")} alerts`;
  return [
    el("h2", { class: "counts-title" }, "Counts of ", of),
    times,
    el("div", { class: "tallies" }, ...shown),
  ];
}

/** True where the filters leave one value. @param {Column} column @param {Filters} filters */
function isFixed(column, filters) {
  const value = filters[column];
  if (column === "severity") return value === "critical" || value?.startsWith("only-") === true;
  return value !== undefined && (column !== "path" || /^\/[^*?]*$/.test(value));
}

/**
 * @param {Column} column
 * @param {{ readonly title: string, readonly counts: unknown, readonly counted: number, readonly filters: Filters }} options
 */
function listOf(column, { title, counts, counted, filters }) {
  const tally = objectAt(counts, "by", column);
  const top = /** @type {any} */ (tally)?.["top"];
  if (!Array.isArray(top) || top.length === 0) return undefined;
  const more = (numberAt(tally, "distinct") ?? 0) - Math.min(top.length, mostShown);
  // Many values, each once: none stands out.
  if (more > 0 && numberAt(top[0], "count") === 1) return undefined;
  return el(
    "section",
    { class: "tally", "aria-label": title },
    el("h3", {}, title),
    el(
      "ol",
      {},
      ...top.slice(0, mostShown).map((one) => lineOf(column, { one, counted, filters })),
    ),
    more > 0 && el("p", { class: "faint" }, `and ${more.toLocaleString("en")} more`),
  );
}

/**
 * @param {Column} column
 * @param {{ readonly one: unknown, readonly counted: number, readonly filters: Filters }} options
 */
function lineOf(column, { one, counted, filters }) {
  const value = textAt(one, "value") ?? "";
  const count = numberAt(one, "count") ?? 0;
  const bar = el("span", { class: "tally-bar", "aria-hidden": "true" });
  bar.style.width = `${Math.max(1, (count / Math.max(1, counted)) * 100)}%`;
  const name = column === "severity" ? badge(severityOf(value)) : hostile(value, 40);
  return el(
    "li",
    {},
    el(
      "a",
      { href: addressOf({ view: "alerts", filters: { ...filters, ...filterOf(column, one) } }) },
      bar,
      el("span", { class: "tally-name" }, name),
      el("span", { class: "tally-count" }, count.toLocaleString("en")),
      el("span", { class: "visually-hidden" }, count === 1 ? " alert" : " alerts"),
    ),
  );
}

/** @param {Column} column @param {unknown} one @returns {Filters} */
function filterOf(column, one) {
  const value = textAt(one, "value") ?? "";
  const cluster = textAt(one, "cluster");
  if (column === "severity") return { severity: value === "critical" ? value : `only-${value}` };
  return { [column]: value, ...(cluster !== undefined && { cluster }) };
}
