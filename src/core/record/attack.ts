import type { OcsfAttack } from "./ocsf.ts";

/** MITRE ATT&CK for Enterprise 17 (attack.mitre.org), as far as the shipped policies use it. */
const tactics = {
  TA0001: "Initial Access",
  TA0002: "Execution",
  TA0003: "Persistence",
  TA0004: "Privilege Escalation",
  TA0005: "Defense Evasion",
  TA0006: "Credential Access",
  TA0008: "Lateral Movement",
  TA0009: "Collection",
  TA0040: "Impact",
} as const satisfies Readonly<Record<string, string>>;

type TacticId = keyof typeof tactics;

interface Technique {
  readonly name: string;
  /** Of its sub-techniques too. */
  readonly tactics: readonly TacticId[];
  readonly subs?: Readonly<Record<string, string>>;
}

const persistence = ["TA0003", "TA0004"] as const;

const techniques: Readonly<Record<string, Technique>> = {
  T1003: {
    name: "OS Credential Dumping",
    tactics: ["TA0006"],
    subs: { "008": "/etc/passwd and /etc/shadow" },
  },
  T1005: { name: "Data from Local System", tactics: ["TA0009"] },
  T1014: { name: "Rootkit", tactics: ["TA0005"] },
  T1036: {
    name: "Masquerading",
    tactics: ["TA0005"],
    subs: { "005": "Match Legitimate Resource Name or Location" },
  },
  T1037: {
    name: "Boot or Logon Initialization Scripts",
    tactics: persistence,
    subs: { "004": "RC Scripts" },
  },
  T1053: {
    name: "Scheduled Task/Job",
    tactics: ["TA0003", "TA0002", "TA0004"],
    subs: { "002": "At", "003": "Cron", "006": "Systemd Timers" },
  },
  T1070: {
    name: "Indicator Removal",
    tactics: ["TA0005"],
    subs: {
      "002": "Clear Linux or Mac System Logs",
      "003": "Clear Command History",
      "006": "Timestomp",
    },
  },
  T1078: { name: "Valid Accounts", tactics: ["TA0003", "TA0001", "TA0004", "TA0005"] },
  T1098: {
    name: "Account Manipulation",
    tactics: persistence,
    subs: { "004": "SSH Authorized Keys" },
  },
  T1136: { name: "Create Account", tactics: ["TA0003"], subs: { "001": "Local Account" } },
  T1195: {
    name: "Supply Chain Compromise",
    tactics: ["TA0001"],
    subs: { "002": "Compromise Software Supply Chain" },
  },
  T1485: { name: "Data Destruction", tactics: ["TA0040"] },
  T1489: { name: "Service Stop", tactics: ["TA0040"] },
  T1525: { name: "Implant Internal Image", tactics: ["TA0003"] },
  T1528: { name: "Steal Application Access Token", tactics: ["TA0006"] },
  T1542: { name: "Pre-OS Boot", tactics: ["TA0003", "TA0005"], subs: { "003": "Bootkit" } },
  T1543: {
    name: "Create or Modify System Process",
    tactics: persistence,
    subs: { "002": "Systemd Service", "005": "Container Service" },
  },
  T1546: {
    name: "Event Triggered Execution",
    tactics: persistence,
    subs: {
      "004": "Unix Shell Configuration Modification",
      "016": "Installer Packages",
      "018": "Python Startup Hooks",
    },
  },
  T1547: {
    name: "Boot or Logon Autostart Execution",
    tactics: persistence,
    subs: { "006": "Kernel Modules and Extensions" },
  },
  T1548: {
    name: "Abuse Elevation Control Mechanism",
    tactics: ["TA0004", "TA0005"],
    subs: { "001": "Setuid and Setgid", "003": "Sudo and Sudo Caching" },
  },
  T1550: { name: "Use Alternate Authentication Material", tactics: ["TA0008", "TA0005"] },
  T1552: {
    name: "Unsecured Credentials",
    tactics: ["TA0006"],
    subs: { "001": "Credentials In Files", "004": "Private Keys" },
  },
  T1553: {
    name: "Subvert Trust Controls",
    tactics: ["TA0005"],
    subs: { "004": "Install Root Certificate" },
  },
  T1554: { name: "Compromise Host Software Binary", tactics: ["TA0003"] },
  T1556: {
    name: "Modify Authentication Process",
    tactics: ["TA0006", "TA0003", "TA0005"],
    subs: { "003": "Pluggable Authentication Modules" },
  },
  T1557: { name: "Adversary-in-the-Middle", tactics: ["TA0006", "TA0009"] },
  T1562: {
    name: "Impair Defenses",
    tactics: ["TA0005"],
    subs: { "001": "Disable or Modify Tools", "004": "Disable or Modify System Firewall" },
  },
  T1565: {
    name: "Data Manipulation",
    tactics: ["TA0040"],
    subs: { "001": "Stored Data Manipulation" },
  },
  T1574: {
    name: "Hijack Execution Flow",
    tactics: ["TA0003", "TA0004", "TA0005"],
    subs: {
      "006": "Dynamic Linker Hijacking",
      "007": "Path Interception by PATH Environment Variable",
    },
  },
  T1610: { name: "Deploy Container", tactics: ["TA0002", "TA0005"] },
  T1611: { name: "Escape to Host", tactics: ["TA0004"] },
  T1649: { name: "Steal or Forge Authentication Certificates", tactics: ["TA0006"] },
};

interface Named {
  readonly id: string;
  /** Absent: not in the table. */
  readonly name?: string;
}

/** What an id stands for: "TA0003" is a tactic, "T1574" a technique, "T1574.006" a sub-technique of it. */
export interface Attack {
  readonly tactics: readonly Named[];
  readonly technique?: Named;
  readonly subTechnique?: Named;
}

export function readAttack(id: string): Attack {
  if (id.startsWith("TA")) return { tactics: [tacticOf(id)] };
  const [technique = id, sub] = id.split(".");
  const known = own(techniques, technique);
  const subName = sub === undefined ? undefined : own(known?.subs ?? {}, sub);
  return {
    tactics: (known?.tactics ?? []).map(tacticOf),
    technique: named(technique, known?.name),
    ...(sub !== undefined && { subTechnique: named(id, subName) }),
  };
}

/** For people: "T1574.006 Dynamic Linker Hijacking (Persistence, Privilege Escalation)". */
export function attackText(id: string): string {
  const attack = readAttack(id);
  if (!attack.technique) return [id, attack.tactics[0]?.name].filter(Boolean).join(" ");
  const name = attack.subTechnique?.name ?? attack.technique.name;
  if (name === undefined) return id;
  const why = attack.tactics.map((tactic) => tactic.name ?? tactic.id).join(", ");
  return `${id} ${name} (${why})`;
}

/** OCSF has room for one tactic: the first is what a change of a file is most often for. */
export function toAttack(id: string): OcsfAttack {
  const { tactics: all, technique, subTechnique } = readAttack(id);
  const [tactic] = all;
  return {
    ...(tactic && { tactic: toOcsf(tactic) }),
    ...(technique && { technique: toOcsf(technique) }),
    ...(subTechnique && { sub_technique: toOcsf(subTechnique) }),
  };
}

function tacticOf(id: string): Named {
  return named(id, own<string>(tactics, id));
}

function named(id: string, name: string | undefined): Named {
  return name === undefined ? { id } : { id, name };
}

function toOcsf({ id, name }: Named) {
  return name === undefined ? { uid: id } : { uid: id, name };
}

/** Ids come from records: "constructor" is none of ours. */
function own<Value>(table: Readonly<Record<string, Value>>, key: string): Value | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
