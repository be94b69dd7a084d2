/** One line of /proc/PID/mountinfo (proc_pid_mountinfo(5)), as far as it matters. */
export interface Mount {
  readonly id: number;
  readonly path: string;
  /** The path inside the mounted filesystem: shows a bind mount. */
  readonly root: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
  readonly dev: string;
}
