import { byId, command, el, fill, hostile } from "./dom.js";

/** How to take evidence away and verify it without this collector. */
export async function showEvidence() {
  const checkpoint = el("pre", { tabindex: "0", class: "checkpoint" }, "Loading…");
  const key = el("div");
  fill(
    byId("evidence"),
    el("h1", {}, "Evidence"),
    el(
      "p",
      {},
      "Every record is signed by the node that wrote it and linked to the one before it. The collector keeps the bytes as they came, in a log that it can only extend. An auditor needs neither this page nor this machine.",
    ),
    el("h2", {}, "1. Export"),
    el(
      "p",
      {},
      "All records, or those of one node, with their signatures and the proof that they are in the log:",
    ),
    command("fim-collector export --node cp-1 > evidence.ndjson"),
    el("h2", {}, "2. Verify, anywhere, offline"),
    command("fim-collector verify evidence.ndjson"),
    el(
      "p",
      {},
      "It checks each signature, each link, that no record is missing and that the log holds them all. It names the first record that does not hold, and ends with 0 only if all do.",
    ),
    el("h2", {}, "3. Keep the checkpoint somewhere else"),
    el(
      "p",
      {},
      "This signed note fixes everything received so far. Who keeps it can prove later that nothing was removed or altered. Agents keep one too, and refuse a collector whose log became shorter.",
    ),
    checkpoint,
    key,
    el(
      "p",
      {},
      el("a", { href: "/v1/checkpoint", download: "checkpoint.txt" }, "Download the checkpoint"),
    ),
  );
  try {
    const answer = await fetch("/v1/checkpoint");
    if (!answer.ok) throw new Error(`the collector answers ${answer.status}`);
    fill(checkpoint, ...(await answer.text()).split("\n").flatMap((line) => [hostile(line), "\n"]));
    const name = answer.headers.get("fim-checkpoint-key");
    fill(key, name !== null && el("p", {}, "Its key: ", el("code", {}, hostile(name))));
  } catch (error) {
    fill(checkpoint, `The checkpoint cannot be read: ${/** @type {Error} */ (error).message}`);
  }
}
