import { attackText } from "../../core/record/attack.ts";
import { hashRecord } from "../../core/record/chain.ts";
import { fieldsOf, numberAt, textAt } from "../../core/record/fields.ts";
import type { Notice } from "../../core/record/notice.ts";
import { harmless, nameOf } from "../../core/path.ts";
import { fit, reasonOf } from "./text.ts";

/** Bytes. RFC 5425 §4.3.1 asks receivers for 8192; syslog's own head takes less than 400 of them. */
const mostBytes = 8192 - 400;

/** ArcSight Common Event Format 0.1, revision 26. A member without room is left out whole. */
export function cef(notice: Notice, link: string | undefined): string {
  const head = [
    "CEF:0",
    "fim-agent",
    "fim-agent",
    versionOf(notice),
    notice.rule ?? notice.type,
    notice.type,
    String(severities[notice.severity]),
  ];
  let text = `${head.map((part) => fit(harmless(part), 512, escapeHead)).join("|")}|`;
  let bytes = Buffer.byteLength(text);
  for (const [key, value, most] of extensionOf(notice, link)) {
    if (value === undefined || value === "") continue;
    const member = `${key}=${fit(harmless(String(value)), most, escapeExtension)} `;
    bytes += Buffer.byteLength(member);
    if (bytes > mostBytes) bytes -= Buffer.byteLength(member);
    else text += member;
  }
  return text.trimEnd();
}

const severities = { info: 1, low: 3, medium: 5, high: 8, critical: 10 } as const;

function versionOf({ body }: Notice): string {
  return textAt(body, "metadata", "product", "version") ?? textAt(body, "version") ?? "unknown";
}

type Member = readonly [key: string, value: string | number | undefined, most: number];

/** The most important first. The lengths are those of the specification. */
function* extensionOf(notice: Notice, link: string | undefined): Generator<Member> {
  yield ["rt", notice.time, 20];
  yield ["dvchost", notice.node, 100];
  yield ["externalId", notice.id, 40];
  yield* custom(1, "cluster", notice.cluster);
  if (notice.kind === "change") yield* changeOf(notice.body);
  yield ["msg", notice.message, 1023];
  yield ["reason", reasonOf(notice), 1023];
  yield* custom(2, "techniques", notice.attack.map(attackText).join("; "));
  yield* custom(3, "recordHash", hashRecord(notice.bytes));
  yield* custom(4, "link", link);
}

function* changeOf(body: Notice["body"]): Generator<Member> {
  const fim = fieldsOf(fieldsOf(body["unmapped"])["fim"]);
  const seen = fieldsOf(fim["after"] ?? fim["before"]);
  const before = fim["after"] === undefined ? {} : fieldsOf(fim["before"]);
  const path = textAt(fim, "path") ?? "";
  yield ["act", textAt(fim, "change"), 63];
  yield ["filePath", path, 1023];
  yield ["fname", nameOf(path), 1023];
  yield ["fileHash", textAt(seen, "sha256"), 255];
  yield ["filePermission", textAt(seen, "mode"), 1023];
  yield ["fsize", numberAt(seen, "size"), 20];
  yield ["oldFilePath", textAt(fim, "from"), 1023];
  yield ["oldFileHash", textAt(before, "sha256"), 255];
  yield ["oldFilePermission", textAt(before, "mode"), 1023];
  yield ["oldFileSize", numberAt(before, "size"), 20];
  yield ["sproc", textAt(fim, "actor", "exe"), 1023];
  yield ["spid", numberAt(fim, "actor", "pid"), 20];
  yield ["suid", textAt(body, "actor", "process", "user", "uid"), 1023];
  yield ["suser", textAt(body, "actor", "process", "user", "name"), 1023];
  yield ["cnt", numberAt(fim, "count"), 20];
}

/** A member of our own name, which the receiver shows under its label. */
function* custom(number: number, label: string, value: string | undefined): Generator<Member> {
  if (value === undefined || value === "") return;
  yield [`cs${number}Label`, label, 1023];
  yield [`cs${number}`, value, 4000];
}

function escapeHead(character: string): string {
  return character === "\\" || character === "|" ? `\\${character}` : character;
}

function escapeExtension(character: string): string {
  return character === "\\" || character === "=" ? `\\${character}` : character;
}
