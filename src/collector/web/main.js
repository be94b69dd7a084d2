import { AlertsView, isAlerts } from "./alerts.js";
import { rowOf } from "./alert.js";
import { ApiError, get } from "./api.js";
import { drawChart } from "./chart.js";
import { byId, el, fill } from "./dom.js";
import { showEvidence } from "./evidence.js";
import { drawFilters, set } from "./filters.js";
import { showCompare } from "./compare.js";
import { drawHead } from "./head.js";
import { startKeys } from "./keys.js";
import { logIn, logOut, whoAmI } from "./login.js";
import { firstRun, readNodes, showNodes } from "./nodes.js";
import { addressOf, queryOf } from "./place.js";
import { textAt } from "./read.js";
import { go, here, onPlace, startRouter } from "./router.js";
import { Stream } from "./stream.js";
import { plain, shortTime } from "./text.js";

/** Milliseconds between two looks at the counts; an alert of the stream causes one at once. */
const lookEvery = 10_000;
/** Milliseconds until the next look while the counts are older than an alert that the page has. */
const lookSoon = 1000;
const mostDifference = 30_000;

/** @type {unknown} */
let summary;
/** @type {readonly string[]} */
let nodeNames = [];
let isLooking = false;
/** By the collector's clock: counts from before do not hold every alert that the page has. */
let countsFrom = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let soon;

const stream = new Stream({
  onAlert: (event) => {
    alerts.receive(event);
    announce(event);
    void look();
  },
  onState: (lostSince, isRefused) => {
    const bar = byId("offline");
    bar.hidden = lostSince === undefined;
    if (lostSince !== undefined)
      bar.textContent = `Connection lost since ${shortTime(lostSince, Date.now())}. What is shown may be old; it catches up by itself.`;
    // A refused stream does not come back: the session has ended, or the collector is full.
    if (isRefused) void askAgain();
  },
});

const alerts = new AlertsView({
  follow: async (query) => await stream.follow(query),
  onChanged: () => void look(),
  onSeen: (received) => {
    // A moment more: it is stored soon after it is received.
    countsFrom = Math.max(countsFrom, received + lookSoon);
    if (summary !== undefined) lookAgain();
  },
  onError: (error) => void onError(error),
  explainEmpty: () => emptyText(),
});

start().catch((error) => {
  fill(byId("fatal"), String(error?.message ?? error));
  byId("fatal").hidden = false;
});

async function start() {
  const user = (await whoAmI()) ?? (await logIn());
  byId("user").textContent = plain(user);
  byId("logout").addEventListener("click", () => void logOut());
  startSearch();
  startKeys({
    move: (step) => isAlerts() && alerts.move(step),
    takeNew: () => alerts.takeNew(),
    back: () => go({ view: "alerts", filters: here().filters }),
  });
  onPlace((place) => {
    document.body.dataset["view"] = place.view;
    for (const link of document.querySelectorAll("nav a"))
      if (link.getAttribute("data-view") === place.view) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    if (place.view === "alerts") void alerts.show(place);
    if (place.view === "nodes") void showNodes();
    if (place.view === "compare") void showCompare(place.filters);
    if (place.view === "evidence") void showEvidence(place.filters, nodeNames);
    drawFilters(place.filters, nodeNames);
    drawBars();
  });
  void look();
  startRouter();
  setInterval(() => void look(), lookEvery);
  await nameNodes();
}

/** The collector gives the same counts for some seconds: asks until they hold the newest alert. */
function lookAgain() {
  if (!isOld()) return;
  drawHead(summary, { isOld: true });
  if (soon !== undefined) return;
  soon = setTimeout(() => {
    soon = undefined;
    void look();
  }, lookSoon);
}

/** True where the counts lack an alert that the page has. */
function isOld() {
  const late = countsFrom - Date.parse(textAt(summary, "at") ?? "");
  // Much later: the clocks of two collectors differ.
  return late > 0 && late < mostDifference;
}

/** The names that the filter offers. */
async function nameNodes() {
  try {
    const nodes = await readNodes();
    nodeNames = [...new Set(nodes.map((one) => textAt(one, "node") ?? ""))].toSorted();
    const { view, filters } = here();
    drawFilters(filters, nodeNames);
    if (view === "evidence") await showEvidence(filters, nodeNames);
  } catch (error) {
    await onError(error);
  }
}

/** Reads the counts. What others acknowledge shows here too. */
async function look() {
  if (isLooking || document.hidden) return;
  isLooking = true;
  try {
    const wasEmpty = summary === undefined;
    summary = await get("/v1/summary");
    drawHead(summary, { isOld: isOld() });
    document.body.classList.toggle("is-first", nodeCount() === 0);
    drawBars();
    lookAgain();
    if (here().view === "nodes" && !wasEmpty) await showNodes();
    if (here().view === "compare" && !wasEmpty) await showCompare(here().filters);
    if (wasEmpty && !byId("empty").hidden) fill(byId("empty"), emptyText());
  } catch (error) {
    await onError(error);
  } finally {
    isLooking = false;
  }
}

function drawBars() {
  const hours = /** @type {any} */ (summary)?.hours;
  if (Array.isArray(hours)) drawChart(byId("chart"), hours, here().filters);
}

/** The last word for people who do not see the page. @param {unknown} event */
function announce(event) {
  const row = rowOf(event);
  const text = `New ${row.severity} alert: ${row.name} ${row.verb} on ${row.node}`;
  byId(row.severity === "critical" ? "alarm" : "news").textContent = plain(text);
}

/** Undefined: it is not known yet. */
function nodeCount() {
  const nodes = /** @type {any} */ (summary)?.nodes;
  return nodes && nodes.well + nodes.silent + nodes.degraded + nodes.drifting;
}

function emptyText() {
  const count = nodeCount();
  if (count === undefined) return el("p", { class: "hint" }, "Loading…");
  if (count === 0) return firstRun();
  const { filters } = here();
  const isFiltered = String(queryOf(filters)) !== String(queryOf({}));
  const everything = { ...filters, state: "all", severity: "any" };
  const isWhole = String(queryOf(filters)) === String(queryOf(everything));
  return isFiltered
    ? el(
        "div",
        {},
        el("h2", {}, "No alert fits these filters"),
        !isWhole &&
          el(
            "p",
            {},
            el(
              "a",
              { href: addressOf({ view: "alerts", filters: everything }) },
              "Look among the acknowledged and the minor ones, too",
            ),
          ),
        el("p", {}, el("a", { href: "/" }, "Show what is open")),
      )
    : el(
        "div",
        { class: "quiet-state" },
        el("img", { src: "/icon.svg", alt: "", width: 64, height: 64 }),
        el("h2", {}, "Nothing is open"),
        el("p", {}, "No alert waits for you. New ones appear here by themselves."),
        el("p", {}, el("a", { href: "/?state=all&severity=any" }, "Show everything that happened")),
      );
}

function startSearch() {
  const search = /** @type {HTMLInputElement} */ (byId("search"));
  byId("search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const { path: _, ...others } = here().filters;
    const text = search.value.trim();
    // A path that begins like this; a glob and any other text go as they are.
    const path = /^\/[^*?]*$/.test(text) ? `${text}*` : text;
    set(text === "" ? others : { ...others, path });
    search.blur();
  });
}

/** @param {unknown} error */
async function onError(error) {
  if (error instanceof ApiError && error.status === 401) await askAgain();
}

/** The session has ended: asks for the password and goes on at the same place. */
let asking = false;
async function askAgain() {
  if (asking) return;
  asking = true;
  try {
    if ((await whoAmI()) === undefined) {
      stream.close();
      byId("user").textContent = plain(await logIn());
      byId("offline").hidden = true;
      go(here(), { isReplaced: true });
    }
    await alerts.reload();
  } catch {
    // The collector does not answer at all: the browser tries the stream again, and the bar says so.
  } finally {
    asking = false;
  }
}
