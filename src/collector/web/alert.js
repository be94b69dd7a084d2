import { numberAt, textAt, textsAt } from "./read.js";
import { severityOf } from "./severity.js";
import { whoOf } from "./sentence.js";
import { baseName, parentOf } from "./text.js";

/**
 * What the list shows of an alert.
 * @typedef {object} Row
 * @property {string} uid
 * @property {number} at milliseconds since 1970
 * @property {import("./severity.js").Severity} severity
 * @property {string} name of the file, or of the event
 * @property {string} folder
 * @property {string} verb
 * @property {string} who
 * @property {string} node
 * @property {string | undefined} incident
 * @property {number} changes more than one: it stands for like changes
 * @property {boolean} isApproved
 * @property {boolean} acknowledged
 */

/**
 * @param {unknown} event
 * @returns {Row}
 */
export function rowOf(event) {
  const path = textAt(event, "unmapped", "fim", "path");
  return {
    uid: textAt(event, "collector", "uid") ?? "",
    at: timeOf(event),
    severity: severityOf(textAt(event, "collector", "severity")),
    ...(path === undefined ? ofEvent(event) : ofChange(event, path)),
    node: textAt(event, "collector", "node") ?? "",
    incident: textAt(event, "unmapped", "fim", "incident"),
    changes: numberAt(event, "unmapped", "fim", "count") ?? 1,
    isApproved: textAt(event, "unmapped", "fim", "verdict") === "approved",
    acknowledged: /** @type {any} */ (event)?.collector?.acknowledged === true,
  };
}

/**
 * When it happened; where that is no time, when it was received.
 * @param {unknown} event
 */
export function timeOf(event) {
  const given = numberAt(event, "time") ?? Date.parse(textAt(event, "at") ?? "");
  const isTime = given >= 0 && given <= 8.64e15;
  return isTime ? given : Date.parse(textAt(event, "collector", "received") ?? "") || 0;
}

/** @param {unknown} event @param {string} path */
function ofChange(event, path) {
  const change = textAt(event, "unmapped", "fim", "change") ?? "changed";
  const fields = textsAt(event, "unmapped", "fim", "fields");
  const verb = change === "modified" && fields.length > 0 ? fieldsText(fields) : change;
  const [who] = whoOf(event);
  return { name: baseName(path), folder: parentOf(path), verb, who: shortWho(who?.text ?? "") };
}

/** @param {readonly string[]} fields */
function fieldsText(fields) {
  const [first = "", ...more] = fields;
  return more.length === 0 ? first : `${first} +${more.length}`;
}

/** @param {string} who */
function shortWho(who) {
  return who.startsWith("/") && !who.includes(" ") ? baseName(who) : who;
}

/** @param {unknown} event */
function ofEvent(event) {
  const title = textAt(event, "finding_info", "title");
  const type = textAt(event, "collector", "type") ?? "event";
  const reason =
    textAt(event, "finding_info", "desc") ?? textAt(event, "reason") ?? textAt(event, "what") ?? "";
  return {
    name: title ?? type.replace(/^fim\.agent\./, "Agent ").replace(/^fim\./, ""),
    folder: "",
    verb: title === undefined ? "agent" : "collector",
    who: reason,
  };
}
