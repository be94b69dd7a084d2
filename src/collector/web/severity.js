/** From the most severe to the least. */
export const severities = /** @type {const} */ (["critical", "high", "medium", "low", "info"]);

/** @typedef {(typeof severities)[number]} Severity */

/**
 * A severity that is not known is not passed over.
 * @param {string | undefined} text
 * @returns {Severity}
 */
export function severityOf(text) {
  return severities.find((one) => one === text) ?? "critical";
}

/** 0: the most severe. @param {Severity} severity */
export function rankOf(severity) {
  return severities.indexOf(severity);
}

/**
 * @param {Severity} a
 * @param {Severity} b
 */
export function isMoreSevere(a, b) {
  return rankOf(a) < rankOf(b);
}
