import { requireKey } from "../../collector/collector.ts";
import { originOf } from "../../collector/log/checkpoints.ts";
import type { CollectorSettings } from "../../collector/settings.ts";
import { noteKey, printVkey } from "../../core/tlog/note.ts";
import { exit } from "../fail.ts";
import type { Exit } from "../fail.ts";
import { out } from "../print.ts";

/** `key show`: as c2sp.org/signed-note has it, which holds the collector's name. */
export async function showKey({ state, name }: CollectorSettings): Promise<Exit> {
  out(printVkey(noteKey(originOf(name), requireKey(state).publicKey)));
  return exit.fine;
}
