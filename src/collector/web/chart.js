import { el, fill } from "./dom.js";
import { numberAt, textAt } from "./read.js";
import { addressOf } from "./place.js";
import { severities } from "./severity.js";
import { many, shortTime } from "./text.js";

const hour = 3_600_000;
const axis = ["24 h ago", "12 h", "now"];

/**
 * Alerts in each of the last 24 hours. Each hour is a link that shows only its alerts. 24 bars need no library.
 * @param {Element} place
 * @param {readonly unknown[]} hours of GET /v1/summary
 * @param {import("./place.js").Filters} filters
 */
export function drawChart(place, hours, filters) {
  const most = Math.max(1, ...hours.map(totalOf));
  const bars = hours.map((one) => barOf(one, { most, filters }));
  const total = hours.reduce((/** @type {number} */ sum, one) => sum + totalOf(one), 0);
  const caption = el("span", { class: "chart-title" }, `${many(total, "alert")} in 24 h`);
  const { since, until, ...others } = filters;
  const isRange = since !== undefined || until !== undefined;
  const all = { view: /** @type {const} */ ("alerts"), filters: others };
  fill(
    place,
    el(
      "div",
      { class: "chart-head" },
      caption,
      isRange && el("a", { href: addressOf(all) }, "Show all times"),
    ),
    el("ol", { class: "bars", "aria-label": "Alerts per hour" }, ...bars),
    el(
      "div",
      { class: "chart-axis", "aria-hidden": "true" },
      ...axis.map((one) => el("span", {}, one)),
    ),
  );
}

/**
 * @param {unknown} one
 * @param {{ readonly most: number, readonly filters: import("./place.js").Filters }} options
 */
function barOf(one, { most, filters }) {
  const begin = Date.parse(textAt(one, "at") ?? "");
  const since = new Date(begin).toISOString();
  const until = new Date(begin + hour).toISOString();
  const isChosen = filters.since === since && filters.until === until;
  const parts = severities.map((severity) => ({ severity, count: numberAt(one, severity) ?? 0 }));
  const seen = parts.filter(({ count }) => count > 0);
  const words = seen.map(({ severity, count }) => `${count} ${severity}`).join(", ");
  const stack = seen.map(({ severity, count }) => {
    const part = el("span", { class: `bar-part fill-${severity}` });
    part.style.flexGrow = String(count);
    return part;
  });
  const bar = el("span", { class: "bar" }, ...stack);
  // A single alert among thousands still shows.
  bar.style.height = seen.length === 0 ? "0" : `${Math.max(12, (totalOf(one) / most) * 100)}%`;
  const label = `${shortTime(begin, Date.now())}: ${words || "no alerts"}`;
  const address = addressOf({ view: "alerts", filters: { ...filters, since, until } });
  const link = el(
    "a",
    { href: address, title: label, "aria-label": label, "aria-current": isChosen && "true" },
    bar,
  );
  return el("li", {}, link);
}

/** @param {unknown} one */
function totalOf(one) {
  return severities.reduce((sum, severity) => sum + (numberAt(one, severity) ?? 0), 0);
}
