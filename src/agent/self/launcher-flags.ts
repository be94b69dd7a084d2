/** V8 flags that every launcher passes (bin/launch.sh, cli/launch.ts). */
export const launcherFlags: readonly string[] = [
  "--max-semi-space-size=1",
  "--initial-old-space-size=8",
  "--optimize-for-size",
  "--no-sparkplug",
  "--no-maglev",
  "--disable-warning=ExperimentalWarning",
];
