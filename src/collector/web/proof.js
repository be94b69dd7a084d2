import { get } from "./api.js";
import { command, el, fill, hostile } from "./dom.js";
import { numberAt, textAt } from "./read.js";
import { fullTime } from "./text.js";

/**
 * Can this record be trusted? Opens to the proof, which the collector checks again at that moment.
 * @param {unknown} event
 */
export function proofPanel(event) {
  const uid = textAt(event, "collector", "uid") ?? "";
  const received = Date.parse(textAt(event, "collector", "received") ?? "");
  const body = el("div", { class: "panel-body" }, el("p", { class: "faint" }, "Checking…"));
  const mark = el("span", { class: "proof-mark" }, "signed record");
  const panel = el(
    "details",
    { class: "panel" },
    el(
      "summary",
      {},
      "Can I trust it? ",
      mark,
      el("span", { class: "faint" }, ` received ${fullTime(received)}`),
    ),
    body,
  );
  panel.addEventListener("toggle", async () => {
    if (!panel.open || panel.dataset["asked"] === "yes") return;
    panel.dataset["asked"] = "yes";
    try {
      const proof = await get(`/v1/alerts/${encodeURIComponent(uid)}/record`);
      show(body, mark, { proof, event, uid });
    } catch (error) {
      panel.dataset["asked"] = "";
      fill(
        body,
        el(
          "p",
          { class: "caution" },
          `The record cannot be shown: ${/** @type {Error} */ (error).message}`,
        ),
      );
    }
  });
  return panel;
}

/**
 * @param {Element} body
 * @param {Element} mark
 * @param {{ proof: unknown, event: unknown, uid: string }} given
 */
function show(body, mark, { proof, event, uid }) {
  const fault = textAt(proof, "fault");
  const isBranch = (numberAt(proof, "branch") ?? 0) > 0;
  const isGood = fault === undefined && !isBranch;
  mark.textContent = isGood ? "✓ verified" : "✗ does not hold";
  mark.className = `proof-mark ${isGood ? "good" : "bad"}`;
  const verdict = isGood
    ? "The record's hash, its links to the records beside it and the node's signature hold. The collector checked them just now."
    : fault !== undefined
      ? `The check failed: ${fault}.`
      : "The record conflicts with the chain that was received first: two histories of one node.";
  fill(
    body,
    el("p", { class: isGood ? "" : "caution" }, verdict),
    factsOf(proof),
    el("p", {}, "Verify it on another machine, without this collector:"),
    command(
      `fim-collector export --node ${textAt(event, "collector", "node") ?? ""} > evidence.ndjson && fim-collector verify evidence.ndjson`,
    ),
    el(
      "p",
      { class: "faint" },
      el(
        "a",
        { href: `/v1/proof/${encodeURIComponent(uid)}`, download: `${uid}.tlog-proof` },
        "Proof of inclusion",
      ),
      " in the collector's log, and its ",
      el("a", { href: "/v1/checkpoint", download: "checkpoint.txt" }, "signed checkpoint"),
      ".",
    ),
    el(
      "details",
      {},
      el("summary", {}, "The record as it was signed"),
      el("pre", { tabindex: "0" }, hostile(textAt(proof, "record") ?? "", 200_000)),
    ),
  );
}

/** @param {unknown} proof */
function factsOf(proof) {
  const facts = [
    ["Chain", textAt(proof, "chain")],
    [
      "Record",
      `${numberAt(proof, "seq")}, in the signed batch ${numberAt(proof, "batch", "first")} to ${numberAt(proof, "batch", "last")}`,
    ],
    ["Hash", textAt(proof, "hash")],
    ["Follows", textAt(proof, "prev")],
    ["Signed by", textAt(proof, "key")],
    ["Received", fullTime(Date.parse(textAt(proof, "received") ?? ""))],
  ];
  return el(
    "dl",
    { class: "facts-list" },
    ...facts.flatMap(([label = "", value]) => [
      el("dt", {}, label),
      el("dd", {}, hostile(value ?? "unknown")),
    ]),
  );
}
