import { el } from "./dom.js";
import { addressOf } from "./place.js";
import { numberAt, textAt } from "./read.js";
import { fullTime, many, shortTime } from "./text.js";

/** @typedef {import("./place.js").Filters} Filters */

/** A day in milliseconds: the chart above the list has no more. */
const day = 86_400_000;

/**
 * When the counted alerts happened. Each bar is a link that shows only its alerts. Undefined: all at about one time, or
 * a node's clock is beyond all calendars, or the chart above the list says the same.
 * @param {unknown} counts of GET /v1/counts
 * @param {Filters} filters
 */
export function timesOf(counts, filters) {
  const times = /** @type {any} */ (counts)?.times;
  if (!Array.isArray(times) || times.length < 2) return undefined;
  const spans = times.map((one) => ({
    from: Date.parse(textAt(one, "from") ?? ""),
    until: Date.parse(textAt(one, "until") ?? ""),
    count: numberAt(one, "count") ?? 0,
  }));
  const [first, last] = [spans[0], spans.at(-1)];
  if (!first || !last || spans.some(({ from, until }) => !(from < until))) return undefined;
  if (Object.keys(filters).length === 0 && Date.now() - first.from < day) return undefined;
  const most = Math.max(1, ...spans.map(({ count }) => count));
  const now = Date.now();
  return el(
    "section",
    { class: "times", "aria-label": "Times" },
    el("h3", {}, "Times"),
    el("ol", { class: "bars" }, ...spans.map((one) => barOf(one, { most, filters }))),
    el(
      "div",
      { class: "chart-axis", "aria-hidden": "true" },
      el("span", {}, shortTime(first.from, now)),
      el("span", {}, shortTime(Math.min(last.until, Math.max(now, last.from)), now)),
    ),
  );
}

/**
 * @param {{ readonly from: number, readonly until: number, readonly count: number }} span
 * @param {{ readonly most: number, readonly filters: Filters }} options
 */
function barOf({ from, until, count }, { most, filters }) {
  const bar = el("span", { class: "bar fill-times" });
  // A single alert among thousands still shows.
  bar.style.height = count === 0 ? "0" : `${Math.max(8, (count / most) * 100)}%`;
  const [since, end] = [from, until].map((at) => new Date(at).toISOString());
  const label = `${fullTime(from)}: ${many(count, "alert")}`;
  const href = addressOf({
    view: "alerts",
    filters: { ...filters, since: since ?? "", until: end ?? "" },
  });
  return el("li", {}, el("a", { href, title: label, "aria-label": label }, bar));
}
