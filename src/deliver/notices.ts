import { readNotice } from "../core/record/notice.ts";
import type { Notice } from "../core/record/notice.ts";
import type { Leased } from "../core/record/queued.ts";
import { isWanted } from "./filter.ts";
import { linkTo } from "./link.ts";
import type { SinkSettings } from "./sink.ts";

/** The notices of one sink's records, each read once. */
export class Notices {
  readonly #settings: SinkSettings;
  readonly #isForPeople: boolean;
  readonly #known = new WeakMap<Leased, { readonly notice: Notice | undefined }>();

  constructor(settings: SinkSettings, isForPeople: boolean) {
    this.#settings = settings;
    this.#isForPeople = isForPeople;
  }

  wants(record: Leased): boolean {
    const [notice] = this.of([record]);
    return notice !== undefined && isWanted(notice, this.#settings, this.#isForPeople);
  }

  of(records: readonly Leased[]): readonly Notice[] {
    return records.flatMap((record) => {
      const known = this.#known.get(record) ?? { notice: readNotice(record.bytes) };
      this.#known.set(record, known);
      return known.notice ?? [];
    });
  }

  link(notice: Notice): string | undefined {
    return linkTo(notice, this.#settings.link);
  }
}
