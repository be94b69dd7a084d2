import type { ChangeObject } from "../text/change-json.ts";

/*
 * The part of OCSF 1.8.0 that we write (schema.ocsf.io/1.8.0/classes/file_activity), with the profiles below, in the
 * standard's names. All times are milliseconds since 1970.
 */

export const ocsfVersion = "1.8.0";

export const profiles = ["host", "container", "datetime", "security_control", "linux/linux_users"];

export interface OcsfUser {
  readonly name?: string;
  readonly uid: string;
  readonly type_id: 1 | 2;
  readonly type: "User" | "Admin";
}

export interface OcsfContainer {
  readonly uid: string;
  readonly name?: string;
  readonly orchestrator?: string;
  readonly pod_uuid?: string;
  readonly labels?: readonly string[];
}

export interface OcsfProcess {
  readonly pid: number;
  readonly name?: string;
  readonly path?: string;
  readonly cmd_line?: string;
  readonly euid?: number;
  readonly auid?: number;
  readonly user?: OcsfUser;
  readonly container?: OcsfContainer;
  /** Nearest first. OCSF's parent_process needs a pid, which a dead parent does not have. */
  readonly ancestry?: readonly { readonly name: string }[];
}

export type OcsfActor =
  | { readonly process: OcsfProcess; readonly user?: OcsfUser }
  | { readonly app_name: "Unknown" };

export interface OcsfFile {
  readonly name: string;
  readonly path: string;
  readonly parent_folder: string;
  readonly type_id: number;
  readonly type: string;
  /** "dev:major:minor/ino:number" */
  readonly uid?: string;
  readonly size?: number;
  readonly modified_time?: number;
  readonly created_time?: number;
  /** st_mode: type and permission bits (inode(7)). */
  readonly attributes?: number;
  readonly is_readonly?: boolean;
  readonly is_deleted?: boolean;
  /** Octal st_mode, owner, group and SELinux label in one line. */
  readonly security_descriptor?: string;
  readonly volume?: string;
  readonly owner?: OcsfUser;
  readonly hashes?: readonly [
    { readonly algorithm_id: 3; readonly algorithm: "SHA-256"; readonly value: string },
  ];
  readonly xattributes?: Readonly<Record<string, unknown>>;
}

export interface OcsfObservable {
  readonly name: string;
  readonly type_id: number;
  readonly type: string;
  readonly value: string;
}

interface OcsfNamed {
  readonly uid: string;
  readonly name?: string;
}

export interface OcsfAttack {
  readonly tactic?: OcsfNamed;
  readonly technique?: OcsfNamed;
  readonly sub_technique?: OcsfNamed;
}

export interface OcsfMetadata {
  readonly version: typeof ocsfVersion;
  readonly uid: string;
  readonly correlation_uid?: string;
  readonly sequence?: number;
  readonly event_code: string;
  readonly log_name: "fim";
  readonly log_provider?: string;
  readonly original_time: string;
  readonly logged_time: number;
  readonly logged_time_dt: string;
  readonly tenant_uid: string;
  readonly profiles: readonly string[];
  readonly product: { readonly name: string; readonly uid: string; readonly version: string };
  readonly extensions: readonly {
    readonly name: string;
    readonly uid: string;
    readonly version: string;
  }[];
  readonly reporter: { readonly name: string; readonly uid: string; readonly hostname: string };
  readonly tags: readonly { readonly name: string; readonly value: string }[];
}

export interface OcsfDevice {
  readonly type_id: 1;
  readonly type: "Server";
  readonly hostname: string;
  readonly name: string;
  readonly os_machine_uuid?: string;
  readonly boot_uid?: string;
  readonly os: {
    readonly name: string;
    readonly type: "Linux";
    readonly type_id: 200;
    readonly version?: string;
    readonly kernel_release?: string;
  };
  readonly agent_list: readonly {
    readonly name: string;
    readonly uid: string;
    readonly version: string;
  }[];
}

/** An alert: OCSF class 1001, File System Activity. */
export interface OcsfEvent {
  readonly category_uid: 1;
  readonly category_name: "System Activity";
  readonly class_uid: 1001;
  readonly class_name: "File System Activity";
  readonly activity_id: number;
  readonly activity_name: string;
  readonly type_uid: number;
  readonly type_name: string;
  readonly severity_id: number;
  readonly severity: string;
  readonly time: number;
  readonly time_dt: string;
  readonly timezone_offset: 0;
  readonly count?: number;
  readonly start_time?: number;
  readonly end_time?: number;
  readonly status_id: 1;
  readonly status: "Success";
  readonly message: string;
  readonly action_id: 3;
  readonly action: "Observed";
  readonly disposition_id: number;
  readonly disposition: "Alert" | "Approved";
  readonly is_alert: boolean;
  readonly metadata: OcsfMetadata;
  readonly device: OcsfDevice;
  readonly actor: OcsfActor;
  readonly file: OcsfFile;
  readonly file_result?: OcsfFile;
  readonly policy: {
    readonly name: string;
    readonly uid: string;
    readonly desc: string;
    readonly is_applied: true;
  };
  readonly attacks?: readonly OcsfAttack[];
  readonly observables: readonly OcsfObservable[];
  readonly unmapped: { readonly fim: ChangeObject };
}
