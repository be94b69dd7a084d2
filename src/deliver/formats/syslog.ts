import type { Notice } from "../../core/record/notice.ts";
import { isoTime } from "../../core/text/change-json.ts";
import { cef } from "./cef.ts";

/** RFC 5424 §6.2.1: log audit. */
const facility = 13;

const severities = { info: 6, low: 5, medium: 4, high: 3, critical: 2 } as const;

/** A notice as one frame of syslog over a stream: RFC 5424, counted in octets (RFC 6587 §3.4.1), with CEF as message. */
export function syslogFrame(notice: Notice, link: string | undefined): Buffer {
  const head = [
    `<${facility * 8 + severities[notice.severity]}>1`,
    isoTime(notice.time),
    word(notice.node, 255),
    "fim-agent",
    "-",
    word(notice.type, 32),
    "-",
  ];
  const message = Buffer.from(`${head.join(" ")} ${cef(notice, link)}`);
  return Buffer.concat([Buffer.from(`${message.length} `), message]);
}

/** RFC 5424 §6: printable ASCII without a space, or "-". */
function word(text: string, most: number): string {
  return text.replaceAll(/[^\x21-\x7e]/g, "?").slice(0, most) || "-";
}
