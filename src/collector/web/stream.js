/**
 * The collector's stream of new alerts. A browser connects again by itself and goes on after the last alert it got.
 */
export class Stream {
  /** @type {EventSource | undefined} */
  #source;
  #onAlert;
  #onState;
  /** When the stream was lost, milliseconds since 1970. @type {number | undefined} */
  #lostSince;

  /**
   * @param {object} options
   * @param {(event: unknown) => void} options.onAlert
   * @param {(lostSince: number | undefined, isRefused: boolean) => void} options.onState
   */
  constructor({ onAlert, onState }) {
    this.#onAlert = onAlert;
    this.#onState = onState;
  }

  /**
   * Follows the alerts of this query instead of those of the one before. Ends when the stream is open, or was lost.
   * @param {URLSearchParams} query
   */
  async follow(query) {
    this.close();
    const source = new EventSource(`/v1/stream?${query}`);
    this.#source = source;
    await new Promise((resolve) => {
      source.addEventListener("open", () => {
        this.#lostSince = undefined;
        this.#onState(undefined, false);
        resolve(undefined);
      });
      source.addEventListener("error", () => {
        this.#lostSince ??= Date.now();
        this.#onState(this.#lostSince, source.readyState === EventSource.CLOSED);
        resolve(undefined);
      });
      source.addEventListener("alert", ({ data }) => this.#onAlert(JSON.parse(data)));
    });
  }

  close() {
    this.#source?.close();
  }
}
