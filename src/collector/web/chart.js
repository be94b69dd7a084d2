import { el, fill } from "./dom.js";
import { numberAt, textAt } from "./read.js";
import { addressOf } from "./place.js";
import { severities } from "./severity.js";
import { many, shortTime } from "./text.js";

/** Two hours in milliseconds: a bar is wide enough for a finger (WCAG 2.2, 2.5.8). */
const span = 7_200_000;
const axis = ["24 h ago", "12 h", "now"];

/**
 * Alerts of the last 24 hours. Each bar is a link that shows only its alerts. Twelve bars need no library.
 * @param {Element} place
 * @param {readonly unknown[]} hours of GET /v1/summary
 * @param {import("./place.js").Filters} filters
 */
export function drawChart(place, hours, filters) {
  const spans = pairsOf(hours);
  const most = Math.max(1, ...spans.map(totalOf));
  const bars = spans.map((one) => barOf(one, { most, filters }));
  const total = spans.reduce((sum, one) => sum + totalOf(one), 0);
  const caption = el(
    "span",
    { class: "chart-title" },
    `${many(total, "alert")} of any kind in 24 h`,
  );
  const { since: _, until, ...others } = filters;
  const isRange = until !== undefined;
  const all = { view: /** @type {const} */ ("alerts"), filters: others };
  fill(
    place,
    el(
      "div",
      { class: "chart-head" },
      caption,
      isRange && el("a", { href: addressOf(all) }, "Show all times"),
    ),
    el("ol", { class: "bars", "aria-label": "Alerts by time" }, ...bars),
    el(
      "div",
      { class: "chart-axis", "aria-hidden": "true" },
      ...axis.map((one) => el("span", {}, one)),
    ),
  );
}

/** @typedef {{ readonly at: number, readonly counts: readonly { severity: import("./severity.js").Severity, count: number }[] }} Span */

/**
 * Two hours each, the present one in the last.
 * @param {readonly unknown[]} hours
 * @returns {readonly Span[]}
 */
function pairsOf(hours) {
  return Array.from({ length: Math.floor(hours.length / 2) }, (_, index) => {
    const [first, second] = [hours[index * 2], hours[index * 2 + 1]];
    const counts = severities.map((severity) => ({
      severity,
      count: (numberAt(first, severity) ?? 0) + (numberAt(second, severity) ?? 0),
    }));
    return { at: Date.parse(textAt(first, "at") ?? ""), counts };
  });
}

/**
 * @param {Span} one
 * @param {{ readonly most: number, readonly filters: import("./place.js").Filters }} options
 */
function barOf(one, { most, filters }) {
  const begin = one.at;
  const since = new Date(begin).toISOString();
  const until = new Date(begin + span).toISOString();
  const isChosen = filters.since === since && filters.until === until;
  const seen = one.counts.filter(({ count }) => count > 0);
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

/** @param {Span} one */
function totalOf({ counts }) {
  return counts.reduce((sum, { count }) => sum + count, 0);
}
