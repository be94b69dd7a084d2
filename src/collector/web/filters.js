import { byId, el, fill, hostile } from "./dom.js";
import { addressOf, queryOf } from "./place.js";
import { go } from "./router.js";
import { longTime } from "./text.js";

/** @typedef {import("./place.js").Filters} Filters */

/** The first of each is what an address without the filter shows. */
const choices = {
  severity: [
    ["", "Low and up"],
    ["any", "Any severity"],
    ["medium", "Medium and up"],
    ["high", "High and up"],
    ["critical", "Critical"],
  ],
  state: [
    ["", "Open"],
    ["acknowledged", "Acknowledged"],
    ["all", "Open or not"],
  ],
  change: [
    ["", "Any change"],
    ...[
      "created",
      "modified",
      "deleted",
      "renamed",
      "transient",
      "mounted",
      "unmounted",
      "unreadable",
    ].map((one) => [one, one]),
  ],
};

/** Times that are always offered. The bars of the chart name others. */
const times = [
  ["", "Any time"],
  ["1h", "Last hour"],
  ["24h", "Last 24 hours"],
  ["7d", "Last 7 days"],
  ["30d", "Last 30 days"],
];

/** What has no control of its own shows as a chip that removes it. */
const chips = /** @type {const} */ ([
  "incident",
  "pod",
  "program",
  "rule",
  "type",
  "cluster",
  "since",
  "until",
]);

/**
 * The controls of the list.
 * @param {Filters} filters
 * @param {readonly string[]} nodes names
 */
export function drawFilters(filters, nodes) {
  const nodeChoices = [["", "Any node"], ...nodes.map((one) => [one, one])];
  fill(
    byId("filters"),
    el(
      "div",
      { class: "selects" },
      select("severity", filters, choices.severity),
      select("state", filters, choices.state),
      select("since", filters, times),
      select("node", filters, nodeChoices),
      select("change", filters, choices.change),
      download(filters),
    ),
    ...chips.map((name) => chip(name, filters)),
  );
  const search = /** @type {HTMLInputElement} */ (byId("search"));
  if (document.activeElement !== search) search.value = filters.path ?? "";
}

/** @param {Filters} filters */
export function set(filters) {
  go({ view: "alerts", filters });
}

/**
 * @param {"severity" | "state" | "node" | "change" | "since"} name
 * @param {Filters} filters
 * @param {readonly (readonly string[])[]} options
 */
function select(name, filters, options) {
  const now = filters[name] ?? "";
  // A pasted link may name a value that is not in the list.
  const isOffered = options.some(([value]) => value === now);
  const all = isOffered ? options : [...options, [now, labelOf(name, now)]];
  const control = el(
    "select",
    { name, "aria-label": name === "since" ? "time" : name, class: now === "" ? "" : "chosen" },
    ...all.map(([value = "", label = value]) =>
      el("option", { value, selected: value === now }, label),
    ),
  );
  control.addEventListener("change", () => {
    const { [name]: _, ...given } = filters;
    const { until: __, ...open } = given;
    const others = name === "since" ? open : given;
    set(control.value === "" ? others : { ...others, [name]: control.value });
  });
  return control;
}

/** The list as a file. @param {Filters} filters */
function download(filters) {
  return el(
    "a",
    {
      class: "download",
      href: `/v1/alerts.csv?${queryOf(filters)}`,
      download: "alerts.csv",
      title: "The newest 10,000 alerts of this list, as a file",
    },
    "Download CSV",
  );
}

/** What a select says of a value that it does not offer. @param {string} name @param {string} value */
function labelOf(name, value) {
  if (name === "since") return "Chosen time";
  if (name !== "severity") return value;
  return value.startsWith("only-") ? `Only ${value.slice(5)}` : value.split(",").join(", ");
}

/** @param {(typeof chips)[number]} name @param {Filters} filters */
function chip(name, filters) {
  const value = filters[name];
  const isSelected = name === "since" && times.some(([time]) => time === value);
  if (value === undefined || isSelected) return undefined;
  const { [name]: _, ...others } = filters;
  const at = Date.parse(value);
  const isTime = (name === "since" || name === "until") && !Number.isNaN(at);
  const words = {
    since: "from",
    until: "to",
    incident: "incident",
    pod: "pod",
    program: "program",
    rule: "rule",
    type: "type",
    cluster: "cluster",
  };
  return el(
    "a",
    {
      class: "chip",
      href: addressOf({ view: "alerts", filters: others }),
      "aria-label": `Remove filter ${name}`,
    },
    `${words[name]} `,
    hostile(isTime ? longTime(at, Date.now()) : value, 24),
    el("span", { "aria-hidden": "true" }, " ×"),
  );
}
