/** An answer that is no success. Status 0: there was none. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} reason
   */
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

/**
 * @param {string} path
 * @returns {Promise<unknown>}
 */
export async function get(path) {
  return await ask(path, {});
}

/**
 * @param {string} path
 * @param {unknown} body
 * @returns {Promise<unknown>}
 */
export async function post(path, body) {
  // The collector takes it from its own page alone; another site cannot send this header.
  const headers = { "fim-page": "1", "content-type": "application/json" };
  return await ask(path, { method: "POST", headers, body: JSON.stringify(body) });
}

/** Milliseconds. */
const patience = 15_000;

/**
 * @param {string} path
 * @param {RequestInit} init
 */
async function ask(path, init) {
  const answer = await fetch(path, { ...init, signal: AbortSignal.timeout(patience) }).catch(() => {
    throw new ApiError(0, "the collector does not answer");
  });
  const body = await answer.json().catch(() => undefined);
  if (!answer.ok)
    throw new ApiError(answer.status, body?.reason ?? `the collector answers ${answer.status}`);
  return body;
}
