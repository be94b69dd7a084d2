import { Tinypool } from "tinypool";

const entry = new URL(
  import.meta.url.endsWith(".ts") ? "./checkpoint-worker.ts" : "./checkpoint-worker.js",
  import.meta.url,
);

/** Bytes of records after which the write-ahead log is copied into the database. */
const copyAfter = 8 * 2 ** 20;

/**
 * Copies the write-ahead log into the database on another thread (sqlite.org/wal.html §2.1), so that commits do not
 * wait for it. Should it fail, SQLite does the same in a commit when the log has reached `wal_autocheckpoint`.
 */
export class Checkpointer implements AsyncDisposable {
  readonly #file: string;
  #written = 0;
  #pool: Tinypool | undefined;
  #copying: Promise<unknown> | undefined;

  constructor(file: string) {
    this.#file = file;
  }

  /** That many bytes were committed. */
  wrote(bytes: number): void {
    this.#written += bytes;
    if (this.#written < copyAfter || this.#copying) return;
    this.#written = 0;
    this.#pool ??= new Tinypool({ filename: entry.href, minThreads: 1, maxThreads: 1 });
    this.#copying = this.#pool
      .run(this.#file)
      .catch(() => undefined)
      .finally(() => {
        this.#copying = undefined;
      });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#copying;
    await this.#pool?.destroy();
  }
}
