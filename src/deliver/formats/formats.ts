import type { Receiver } from "../deliver.ts";
import type { Format } from "../format.ts";
import { HttpReceiver } from "../http-receiver.ts";
import type { ReceiverContext } from "../http-receiver.ts";
import type { SinkSettings } from "../sink.ts";
import type { FormatName } from "./names.ts";
import { slack } from "./slack.ts";
import { standard } from "./standard.ts";

/** One entry for each format: a new sink is its file, its name and its entry here. */
const formats: Readonly<Record<FormatName, Format>> = { standard, slack };

/** The receiver that a sink's settings ask for. */
export function makeReceiver(
  settings: SinkSettings,
  context: ReceiverContext,
): Receiver & Disposable {
  return new HttpReceiver(settings, formats[settings.format], context);
}
