import { isoTime } from "../text/change-json.ts";
import { readAttack } from "./attack.ts";
import { hashRecord } from "./chain.ts";
import { fimOf, subjectsOf } from "./ecs-subject.ts";
import { changeIn, changeOf, dateOf, distinct, known, texts } from "./ecs-values.ts";
import type { Document } from "./ecs-values.ts";
import { numberAt, textAt } from "./fields.ts";
import type { Notice } from "./notice.ts";

/*
 * The Elastic Common Schema (elastic/ecs, 9), with the words of Auditbeat's module file_integrity for event.action, so
 * that rules written for it match. What ECS has no place for is under "fim".
 */

const ecsVersion = "9.0.0";

/** A notice as a document for Elasticsearch or OpenSearch. */
export function toEcs(notice: Notice, link: string | undefined): Document {
  const { body } = notice;
  return known({
    "@timestamp": isoTime(notice.time),
    ecs: { version: ecsVersion },
    message: notice.message,
    event: eventOf(notice, link),
    ...(notice.kind === "change" ? subjectsOf(notice) : {}),
    orchestrator: {
      type: "kubernetes",
      cluster: { name: notice.cluster },
      namespace: textAt(body, "unmapped", "fim", "actor", "container", "namespace"),
    },
    host: hostOf(notice),
    agent: known({
      type: "fim-agent",
      name: notice.node,
      id: textAt(body, "metadata", "reporter", "uid"),
      version: textAt(body, "metadata", "product", "version") ?? textAt(body, "version"),
    }),
    rule: known({
      id: notice.rule,
      name: notice.rule,
      ruleset: textAt(body, "policy", "name"),
      description: textAt(body, "policy", "desc"),
    }),
    threat: threatOf(notice.attack),
    fim: notice.kind === "change" ? fimOf(body) : { event: notice.type, detail: notice.message },
    tags: ["fim"],
  });
}

const severityNumbers = { info: 1, low: 2, medium: 3, high: 4, critical: 5 } as const;

const datasets = { change: "fim.event", alarm: "fim.collector", event: "fim.agent" } as const;

function eventOf(notice: Notice, link: string | undefined): Document {
  const { body, bytes } = notice;
  const logged = numberAt(body, "metadata", "logged_time");
  const isChange = notice.kind === "change";
  const isAlert = notice.kind !== "event" && body["is_alert"] !== false;
  return known({
    id: notice.id,
    kind: isAlert ? "alert" : "event",
    category: [isChange ? "file" : "host"],
    type: isChange ? [typeOf(body)] : ["info"],
    action: isChange ? actionsOf(body) : [notice.type],
    created: logged === undefined ? undefined : dateOf(logged),
    module: "file_integrity",
    dataset: datasets[notice.kind],
    outcome: "success",
    severity: severityNumbers[notice.severity],
    sequence: numberAt(body, "metadata", "sequence"),
    code: notice.rule,
    provider: textAt(body, "metadata", "log_provider"),
    reason: textAt(body, "policy", "desc"),
    hash: hashRecord(bytes),
    url: link,
  });
}

const types: Readonly<Record<string, string>> = { created: "creation", deleted: "deletion" };

function typeOf(body: Document): string {
  return types[changeOf(body)] ?? "change";
}

/** Fields whose change is one of content, not of attributes. */
const contentFields = new Set(["content", "type", "target"]);

const steps: Readonly<Record<string, string>> = {
  created: "created",
  deleted: "deleted",
  renamed: "moved",
  attributes: "attributes_modified",
  linked: "attributes_modified",
};

function actionsOf(body: Document): readonly string[] {
  const change = changeOf(body);
  if (change === "renamed") return ["moved"];
  if (change === "transient")
    return distinct(texts(changeIn(body), "steps").map((step) => steps[step] ?? "updated"));
  if (change !== "modified") return [change];
  const fields = texts(changeIn(body), "fields");
  return distinct(
    fields.map((field) => (contentFields.has(field) ? "updated" : "attributes_modified")),
  );
}

function hostOf({ node, body }: Notice): Document {
  return known({
    name: node,
    hostname: textAt(body, "device", "hostname") ?? node,
    id: textAt(body, "device", "os_machine_uuid"),
    os: known({
      type: "linux",
      name: textAt(body, "device", "os", "name"),
      version: textAt(body, "device", "os", "version"),
      kernel: textAt(body, "device", "os", "kernel_release"),
    }),
  });
}

function threatOf(ids: readonly string[]): Document {
  if (ids.length === 0) return {};
  const all = ids.map(readAttack);
  const tactics = all.flatMap((attack) => attack.tactics);
  const techniques = all.flatMap(({ technique }) => technique ?? []);
  const subs = all.flatMap(({ subTechnique }) => subTechnique ?? []);
  return {
    framework: "MITRE ATT&CK",
    tactic: listed(tactics),
    technique: known({ ...listed(techniques), subtechnique: listed(subs) }),
  };
}

function listed(all: readonly { readonly id: string; readonly name?: string }[]): Document {
  return known({
    id: distinct(all.map(({ id }) => id)),
    name: distinct(all.flatMap(({ name }) => name ?? [])),
  });
}
