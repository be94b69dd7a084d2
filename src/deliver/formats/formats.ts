import type { Receiver } from "../deliver.ts";
import type { Format } from "../format.ts";
import { HttpReceiver } from "../http-receiver.ts";
import type { ReceiverContext } from "../http-receiver.ts";
import type { SinkSettings } from "../sink.ts";
import { SyslogReceiver } from "../syslog-receiver.ts";
import type { FormatName } from "./names.ts";
import { alertmanager } from "./alertmanager.ts";
import { discord } from "./discord.ts";
import { elastic } from "./elastic.ts";
import { otlp } from "./otlp.ts";
import { pagerduty } from "./pagerduty.ts";
import { slack } from "./slack.ts";
import { splunk } from "./splunk.ts";
import { standard } from "./standard.ts";
import { teams } from "./teams.ts";

/** One entry for each format: a new sink is its file, its name and its entry here. */
const formats: Readonly<Record<Exclude<FormatName, "syslog">, Format>> = {
  standard,
  slack,
  teams,
  discord,
  pagerduty,
  alertmanager,
  splunk,
  elastic,
  otlp,
};

/** The receiver that a sink's settings ask for. */
export function makeReceiver(
  settings: SinkSettings,
  context: ReceiverContext,
): Receiver & Disposable {
  const { format } = settings;
  if (format === "syslog") return new SyslogReceiver(settings, context);
  return new HttpReceiver(settings, formats[format], context);
}
