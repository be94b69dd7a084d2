import type { Progress } from "../reconcile/full-sweep.ts";

const redrawEvery = 100;

/** A progress line on a terminal; nothing where stderr is no terminal. */
export class ProgressLine implements Disposable {
  readonly #stream = process.stderr;
  readonly #started = performance.now();
  readonly #expected: number | undefined;
  #drawn = -Infinity;

  /** The number of paths, where known. */
  constructor(expected?: number) {
    this.#expected = expected;
  }

  update = ({ files, bytes }: Progress): void => {
    const now = performance.now();
    if (!this.#stream.isTTY || now - this.#drawn < redrawEvery) return;
    this.#drawn = now;
    const seconds = (now - this.#started) / 1000;
    this.#stream.write(`\r\x1b[K${progressText({ files, bytes }, seconds, this.#expected)}`);
  };

  [Symbol.dispose](): void {
    if (this.#stream.isTTY) this.#stream.write("\r\x1b[K");
  }
}

/** "12,345 files  1.2 GiB  812 MiB/s  3 s left" */
function progressText(
  { files, bytes }: Progress,
  seconds: number,
  expected: number | undefined,
): string {
  const rate = seconds > 0 ? bytes / seconds : 0;
  const left =
    expected !== undefined && files > 0 && expected > files
      ? `  ${Math.ceil(((expected - files) / files) * seconds)} s left`
      : "";
  return `${files.toLocaleString("en")} files  ${sizeText(bytes)}  ${sizeText(rate)}/s${left}`;
}

function sizeText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(unit === 0 ? 0 : 1)} ${units[unit] ?? ""}`;
}
