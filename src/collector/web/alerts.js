import { rowOf } from "./alert.js";
import { ApiError, get } from "./api.js";
import { CountsPanel } from "./counts.js";
import { badge, byId, el, fill, hostile } from "./dom.js";
import { drawDetail, suggestionOf } from "./detail.js";
import { Groups } from "./groups.js";
import { addressOf, isSameList, queryOf } from "./place.js";
import { textAt } from "./read.js";
import { go, here } from "./router.js";
import { rankOf } from "./severity.js";
import { fullTime, many, shortTime } from "./text.js";
import { WindowedList } from "./window.js";

/** @typedef {import("./place.js").Filters} Filters */
/** @typedef {import("./place.js").Place} Place */

/** Alerts that one request brings. */
const pageSize = 100;
/** Whole events that are kept; of the others only what the list shows. */
const mostEvents = 1000;

/** The list of alerts, and the one that is open beside it. */
export class AlertsView {
  #list;
  #groups = new Groups({ isFolding: true });
  /** What came while the list was read, oldest first. @type {import("./alert.js").Row[]} */
  #waiting = [];
  /** @type {Map<string, unknown>} */
  #events = new Map();
  /** @type {Filters | undefined} */
  #filters;
  /** @type {string | undefined} */
  #uid;
  /** Where the next older page begins; null: there is none. @type {string | null} */
  #next = null;
  #isLoading = false;
  /** Rises with each new list: an answer for an older one is dropped. */
  #generation = 0;
  #options;
  #counts = new CountsPanel();

  /**
   * @param {object} options
   * @param {(query: URLSearchParams) => Promise<void>} options.follow opens the stream of this list
   * @param {() => void} options.onChanged something was acknowledged
   * @param {(received: number) => void} options.onSeen the collector received an alert at this time
   * @param {() => import("./dom.js").Child} options.explainEmpty
   * @param {(error: unknown) => void} options.onError
   */
  constructor(options) {
    this.#options = options;
    this.#list = new WindowedList(byId("list"), {
      render: (index) => this.#row(index),
      onEnd: () => void this.#more(),
    });
    byId("new").addEventListener("click", () => this.takeNew());
  }

  /** @param {Place} place */
  async show({ filters, uid }) {
    const isOther = this.#filters === undefined || !isSameList(this.#filters, filters);
    this.#filters = filters;
    const before = this.#uid;
    this.#uid = uid;
    document.body.classList.toggle("has-detail", uid !== undefined);
    if (isOther) void this.reload();
    else this.#redraw([before, uid]);
    this.#counts.cover(uid !== undefined);
    if (uid !== undefined && uid !== before) await this.#open(uid);
    if (uid === undefined) this.#suggest();
  }

  /** Reads the list again, from its newest alert. */
  async reload() {
    const filters = this.#filters ?? {};
    const generation = (this.#generation += 1);
    const query = queryOf(filters);
    this.#isLoading = true;
    this.#waiting = [];
    this.#showNew();
    // The stream opens first, so that no alert falls between it and the list.
    await this.#options.follow(query);
    this.#groups = new Groups({ isFolding: filters.incident === undefined });
    if (generation !== this.#generation) return;
    await this.#load(query, generation);
    this.#list.toTop();
  }

  /** An alert of the stream. It waits until the person wants it, except where there is nothing to disturb. @param {unknown} event */
  receive(event) {
    const row = this.#keep(event);
    const isKnown = this.#groups.has(row.uid) || this.#waiting.some(({ uid }) => uid === row.uid);
    if (isKnown) return;
    this.#waiting.push(row);
    if (this.#groups.all.length === 0 && !this.#isLoading) this.takeNew();
    else this.#showNew();
  }

  takeNew() {
    const before = this.#groups.all.length;
    this.#groups.prepend(this.#waiting);
    this.#waiting = [];
    this.#showNew();
    this.#showRows(this.#groups.all.length - before);
    this.#counts.listed(this.#filters ?? {});
    this.#list.toTop();
  }

  /** Opens the next or the previous row. @param {1 | -1} step */
  move(step) {
    const { all } = this.#groups;
    const now = this.#uid === undefined ? -1 : this.#groups.indexOf(this.#uid);
    const index = now < 0 ? 0 : Math.max(0, Math.min(all.length - 1, now + step));
    const group = all[index];
    if (!group) return;
    go({ view: "alerts", uid: group.lead.uid, filters: this.#filters ?? {} });
    this.#list.reveal(index, { isFocused: true });
  }

  async #more() {
    if (this.#isLoading || this.#next === null) return;
    this.#isLoading = true;
    const query = queryOf(this.#filters ?? {});
    query.set("cursor", this.#next);
    await this.#load(query, this.#generation);
  }

  /** @param {URLSearchParams} query @param {number} generation */
  async #load(query, generation) {
    query.set("limit", String(pageSize));
    byId("list").setAttribute("aria-busy", "true");
    try {
      const answer = /** @type {{ items: unknown[], next: string | null }} */ (
        await get(`/v1/alerts?${query}`)
      );
      if (generation !== this.#generation) return;
      this.#groups.append(answer.items.map((one) => this.#keep(one)));
      this.#next = answer.next;
      this.#showRows(0);
      if (!query.has("cursor")) this.#counts.listed(this.#filters ?? {});
    } catch (error) {
      if (generation === this.#generation) this.#showError(error);
    } finally {
      if (generation === this.#generation) {
        this.#isLoading = false;
        byId("list").removeAttribute("aria-busy");
      }
    }
  }

  /** @param {number} inserted */
  #showRows(inserted) {
    const { all } = this.#groups;
    this.#list.show(all.length, { isAll: this.#next === null, inserted });
    const isEmpty = all.length === 0;
    byId("empty").hidden = !isEmpty;
    document.body.classList.toggle("is-empty", isEmpty);
    if (isEmpty) fill(byId("empty"), this.#options.explainEmpty());
    if (this.#uid === undefined) this.#suggest();
  }

  /** Where no alert is open: the most severe one of the list, in its sentence. */
  #suggest() {
    const [group] = this.#groups.all
      .filter(({ lead }) => !lead.acknowledged && this.#events.has(lead.uid))
      .toSorted(({ lead: a }, { lead: b }) => rankOf(a.severity) - rankOf(b.severity));
    const hint = el("p", { class: "hint" }, "Choose an alert, or press j.");
    const { element } = this.#counts;
    if (!group) return fill(byId("detail"), hint, element);
    const { lead, uids } = group;
    const href = addressOf({ view: "alerts", uid: lead.uid, filters: this.#filters ?? {} });
    const event = this.#events.get(lead.uid);
    fill(byId("detail"), suggestionOf(event, { href, others: uids.length - 1 }), hint, element);
  }

  /** @param {unknown} error */
  #showError(error) {
    this.#options.onError(error);
    const retry = el("button", { type: "button", onclick: () => void this.reload() }, "Try again");
    const empty = byId("empty");
    empty.hidden = false;
    document.body.classList.add("is-empty");
    const reason = error instanceof Error ? error.message : String(error);
    fill(empty, el("h2", {}, "The alerts cannot be read"), el("p", {}, reason), retry);
  }

  /** @param {unknown} event */
  #keep(event) {
    const row = rowOf(event);
    this.#events.set(row.uid, event);
    this.#options.onSeen(Date.parse(textAt(event, "collector", "received") ?? "") || 0);
    const [oldest] = this.#events.keys();
    if (this.#events.size > mostEvents && oldest !== undefined) this.#events.delete(oldest);
    return row;
  }

  #showNew() {
    const button = byId("new");
    button.hidden = this.#waiting.length === 0;
    button.textContent = `${this.#waiting.length.toLocaleString("en")} new`;
  }

  /** @param {readonly (string | undefined)[]} uids */
  #redraw(uids) {
    for (const uid of uids) if (uid !== undefined) this.#list.refresh(this.#groups.indexOf(uid));
  }

  /** Shows what is known at once, then what the collector knows. @param {string} uid */
  async #open(uid) {
    const known = this.#events.get(uid);
    const place = byId("detail");
    if (known) this.#draw(known);
    else fill(place, el("p", { class: "hint" }, "Loading…"));
    place.scrollTop = 0;
    try {
      const event = await get(`/v1/alerts/${encodeURIComponent(uid)}`);
      if (this.#uid === uid) this.#draw(event);
    } catch (error) {
      if (this.#uid !== uid) return;
      this.#options.onError(error);
      const isMissing = error instanceof ApiError && error.status === 404;
      if (isMissing || !known)
        fill(
          place,
          el(
            "p",
            { class: "hint" },
            isMissing ? "There is no alert with this id." : "The alert cannot be read now.",
          ),
        );
    }
  }

  /** @param {unknown} event */
  #draw(event) {
    const uid = textAt(event, "collector", "uid") ?? "";
    const group = this.#groups.all[this.#groups.indexOf(uid)];
    drawDetail(byId("detail"), event, {
      filters: this.#filters ?? {},
      uids: group?.lead.uid === uid ? group.uids : [uid],
      onDone: (uids) => {
        this.#groups.acknowledge(uids);
        this.#counts.listed(this.#filters ?? {});
        this.#redraw(uids);
        this.#options.onChanged();
        void this.#open(uid);
      },
    });
  }

  /** @param {number} index */
  #row(index) {
    const { lead, uids } = this.#groups.all[index] ?? this.#groups.all[0] ?? raise();
    const isOpen = this.#uid !== undefined && uids.includes(this.#uid);
    const count = Math.max(uids.length, lead.changes);
    return el(
      "a",
      {
        href: addressOf({ view: "alerts", uid: lead.uid, filters: this.#filters ?? {} }),
        class: lead.acknowledged ? "is-done" : "",
        "aria-current": isOpen && "true",
      },
      badge(lead.severity, { isShort: true }),
      el("span", { class: "row-name" }, hostile(lead.name, 60)),
      el("time", { class: "row-time", title: fullTime(lead.at) }, shortTime(lead.at, Date.now())),
      el(
        "span",
        { class: "row-verb" },
        hostile(lead.verb, 24),
        count > 1 && el("span", { class: "count" }, many(count, "change")),
      ),
      el(
        "span",
        { class: "row-more" },
        hostile(lead.node, 30),
        " · ",
        hostile(lead.who, 60),
        lead.folder !== "" && el("span", { class: "faint" }, " · ", hostile(lead.folder, 48)),
      ),
      lead.acknowledged &&
        el(
          "span",
          { class: "row-done" },
          "✓",
          el("span", { class: "visually-hidden" }, " acknowledged"),
        ),
    );
  }
}

/** @returns {never} */
function raise() {
  throw new Error("a row that is drawn is not in the list");
}

/** True where the alerts are shown. */
export function isAlerts() {
  return here().view === "alerts";
}
