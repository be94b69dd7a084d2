/*
 * Reads an alert. Its body is a node's word, and the node may be in an attacker's hands: no member has the type that
 * it should have.
 */

/**
 * The value at the end of these names, whatever it is.
 * @param {unknown} value
 * @param {readonly string[]} names
 * @returns {unknown}
 */
function valueAt(value, names) {
  let found = value;
  for (const name of names) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, name))
      return undefined;
    found = /** @type {Record<string, unknown>} */ (found)[name];
  }
  return found;
}

/**
 * @param {unknown} value
 * @param {...string} names
 * @returns {string | undefined}
 */
export function textAt(value, ...names) {
  const found = valueAt(value, names);
  return typeof found === "string" ? found : undefined;
}

/**
 * @param {unknown} value
 * @param {...string} names
 * @returns {number | undefined}
 */
export function numberAt(value, ...names) {
  const found = valueAt(value, names);
  return typeof found === "number" && Number.isFinite(found) ? found : undefined;
}

/**
 * The texts of a list; none where it is no list.
 * @param {unknown} value
 * @param {...string} names
 * @returns {readonly string[]}
 */
export function textsAt(value, ...names) {
  const found = valueAt(value, names);
  return Array.isArray(found) ? found.filter((one) => typeof one === "string") : [];
}

/**
 * @param {unknown} value
 * @param {...string} names
 * @returns {Readonly<Record<string, unknown>> | undefined}
 */
export function objectAt(value, ...names) {
  const found = valueAt(value, names);
  return typeof found === "object" && found !== null && !Array.isArray(found)
    ? /** @type {Record<string, unknown>} */ (found)
    : undefined;
}

/**
 * @param {unknown} value
 * @param {...string} names
 * @returns {boolean}
 */
export function isTrueAt(value, ...names) {
  return valueAt(value, names) === true;
}
