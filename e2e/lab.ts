import { execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { until } from "./report.ts";

/*
 * The control plane that e2e/run.ts installs on: up.sh of a directory makes it (kubelet, containerd, static pods in a
 * network namespace), down.sh removes it.
 */

const scripts = process.env["FIM_LAB"] ?? join(import.meta.dirname, "../../shared/cluster");
const labHome = process.env["KUBE_HOME"] ?? "/var/lib/kube-lab";
/** An image with a shell, for an intruder's pod. */
export const shellImage: string = join(labHome, "images-base/debian.tar");

const inNetwork = ["--net=/run/netns/kube-lab"];
const kubeEnv = { ...process.env, KUBECONFIG: "/etc/kubernetes/admin.conf" };

const containerd = join(labHome, "run/containerd.sock");

/** Why there is no lab. Undefined: there is one. */
export function labMissing(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root";
  if (!existsSync(join(scripts, "up.sh"))) return `${scripts}/up.sh is missing: set FIM_LAB`;
  if (!existsSync(join(labHome, "bin/kubelet"))) return `build it first: ${scripts}/build.sh`;
  if (!existsSync(shellImage)) return `make it first: ${scripts}/base-images.sh`;
  return undefined;
}

export function up(): void {
  runScript("up.sh");
}

export function down(): void {
  runScript("down.sh");
}

/** To a file: the kubelet and containerd, which up.sh leaves running, would keep a pipe open. */
function runScript(name: string): void {
  const log = `/tmp/fim-e2e-${name}.log`;
  const file = openSync(log, "w");
  const { status } = spawnSync(join(scripts, name), { stdio: ["ignore", file, file] });
  if (status !== 0) throw new Error(`${name} ended with ${status}: see ${log}`);
}

/** The API server is busy or starts again: ask once more. */
const busy =
  /connection refused|was refused|TLS handshake timeout|etcdserver: |failed to download openapi/;
/** Attempts, some 5 seconds apart. */
const mostAttempts = 12;

/** kubectl's output. Waits for an API server that does not answer. */
export function kube(...args: readonly string[]): string {
  for (let attempt = 1; ; attempt += 1)
    try {
      return kubeOnce(...args);
    } catch (error) {
      if (attempt === mostAttempts || !busy.test(stderrOf(error))) throw error;
      spawnSync("sleep", ["5"]);
    }
}

function stderrOf(error: unknown): string {
  return String((error as { readonly stderr?: unknown }).stderr);
}

function kubeOnce(...args: readonly string[]): string {
  return execFileSync("nsenter", [...inNetwork, "kubectl", ...args], {
    encoding: "utf8",
    env: kubeEnv,
    maxBuffer: 2 ** 28,
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** kubectl's output with exit code, where a failure is an answer. */
export function tryKube(...args: readonly string[]): {
  readonly ok: boolean;
  readonly text: string;
} {
  try {
    return { ok: true, text: kubeOnce(...args) };
  } catch (error) {
    return { ok: false, text: stderrOf(error) };
  }
}

/** As `kubectl apply -f -`. */
export function apply(manifest: string): void {
  execFileSync("nsenter", [...inNetwork, "kubectl", "apply", "-f", "-"], {
    env: kubeEnv,
    input: manifest,
    stdio: ["pipe", "ignore", "inherit"],
  });
}

export function importImage(archive: string): void {
  ctr("images", "import", archive);
}

function ctr(...args: readonly string[]): string {
  return execFileSync("nsenter", [...inNetwork, "ctr", "-a", containerd, "-n", "k8s.io", ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** The arguments of ctr that run a command in the running container of this name. */
function inContainer(name: string, command: readonly string[]): readonly string[] {
  const id = `e2e-${process.hrtime.bigint()}`;
  return ["tasks", "exec", "--exec-id", id, containerOf(name), ...command];
}

/** Runs a command in a container, beside the API server. */
export function runInContainer(name: string, command: readonly string[]): void {
  ctr(...inContainer(name, command));
}

/** The same, while other things go on. Returns what the command printed. */
export async function runInContainerLater(
  name: string,
  command: readonly string[],
): Promise<string> {
  const words = ["ctr", "-a", containerd, "-n", "k8s.io", ...inContainer(name, command)];
  const { stdout } = await promisify(execFile)("nsenter", [...inNetwork, ...words]);
  return stdout;
}

function iptables(...rule: readonly string[]): void {
  execFileSync("nsenter", [...inNetwork, "iptables", "-t", "nat", ...rule], { stdio: "ignore" });
}

/** An address and port of a Service, and the pod's that it leads to. */
export interface Route {
  readonly from: readonly [ip: string, port: number];
  readonly to: readonly [ip: string, port: number];
}

/** Leads Services' addresses to pods, as kube-proxy does with iptables; the lab has none. */
export function routeServices(routes: readonly Route[]): void {
  for (const chain of ["PREROUTING", "OUTPUT", "POSTROUTING"]) iptables("-F", chain);
  for (const { from, to } of routes) {
    const [service, servicePort] = from;
    const [pod, port] = to;
    const match = ["-p", "tcp", "-d", service, "--dport", String(servicePort)];
    for (const chain of ["PREROUTING", "OUTPUT"])
      iptables("-A", chain, ...match, "-j", "DNAT", "--to-destination", `${pod}:${port}`);
    // Else the answer would go past the translation, from pod to pod.
    const translated = ["-p", "tcp", "-d", pod, "--dport", String(port)];
    iptables("-A", "POSTROUTING", ...translated, "-j", "MASQUERADE");
  }
}

/** The answer of an HTTP server in the lab's network. Throws for a status of 400 and above. */
export function fetchInLab(url: string, token: string): unknown {
  const curl = ["curl", "--silent", "--show-error", "--fail", "--max-time", "10"];
  const header = ["--header", `authorization: Bearer ${token}`];
  const text = execFileSync("nsenter", [...inNetwork, ...curl, ...header, url], {
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  return JSON.parse(text) as unknown;
}

/** Whether an HTTP server in the lab's network answers, with a status below 400. */
export function answers(url: string): boolean {
  const curl = ["curl", "--silent", "--fail", "--max-time", "5", "--output", "/dev/null", url];
  return spawnSync("nsenter", [...inNetwork, ...curl]).status === 0;
}

type Program = "containerd" | "kubelet";
const pidFile = join(labHome, "run/pids");

/** The process of a program that up.sh or `start` started. */
function pidOf(program: Program): number {
  const pids = readFileSync(pidFile, "utf8").trim().split("\n");
  return Number(pids[program === "containerd" ? 0 : 1]);
}

function wordsOf(pid: number): readonly string[] {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
}

/** Ends a program. Returns the words to start it with. */
async function stop(program: Program): Promise<readonly string[]> {
  const pid = pidOf(program);
  const words = wordsOf(pid);
  process.kill(pid, "SIGTERM");
  await until(`${program} to end`, 120, () => !isRunning(pid));
  return words;
}

/** Of up.sh's children, some are zombies: nothing waits for them. */
function isRunning(pid: number): boolean {
  const stat = `/proc/${pid}/stat`;
  return existsSync(stat) && !/\) [XZ] /.test(readFileSync(stat, "utf8"));
}

function start(program: Program, words: readonly string[]): void {
  const log = openSync(join(labHome, "run", `${program}.log`), "a");
  const started = spawn("nsenter", [...inNetwork, ...words], {
    detached: true,
    stdio: ["ignore", log, log],
  });
  started.unref();
  const pids = readFileSync(pidFile, "utf8").trim().split("\n");
  const at = program === "containerd" ? 0 : 1;
  writeFileSync(pidFile, `${pids.with(at, String(started.pid)).join("\n")}\n`);
}

/** The kubelet ends by itself while containerd does not answer; systemd starts it again, and so does this. */
async function awaitKubelet(words: readonly string[]): Promise<void> {
  await until("the kubelet to be well", 300, () => {
    if (!isRunning(pidOf("kubelet"))) start("kubelet", words);
    return answers("http://127.0.0.1:10248/healthz");
  });
}

/** Stops a program and starts it with the same words, as systemd would. Its containers live on. */
export async function restart(program: Program): Promise<void> {
  const kubelet = wordsOf(pidOf("kubelet"));
  start(program, await stop(program));
  await until("containerd to answer", 120, () => tryCtr("version"));
  await awaitKubelet(kubelet);
}

/** Ends every container, the kubelet and containerd, as a power cut does; `whileDown` runs; then both start again. */
export async function reboot(whileDown: () => void): Promise<void> {
  const kubelet = await stop("kubelet");
  for (const task of ctr("tasks", "ls", "-q").split("\n").filter(Boolean))
    tryCtr("tasks", "kill", "-s", "SIGKILL", task);
  const runtime = await stop("containerd");
  whileDown();
  start("containerd", runtime);
  await until("containerd to answer", 120, () => tryCtr("version"));
  start("kubelet", kubelet);
  await awaitKubelet(kubelet);
}

function tryCtr(...args: readonly string[]): boolean {
  const words = ["ctr", "-a", containerd, "-n", "k8s.io", ...args];
  return spawnSync("nsenter", [...inNetwork, ...words]).status === 0;
}

/** The running container of a name: after a restart, an ended one is still listed. */
function containerOf(name: string): string {
  const filter = `labels."io.kubernetes.container.name"==${name}`;
  const ids = ctr("containers", "ls", "-q", filter).trim().split("\n");
  const running = ctr("tasks", "ls");
  const id = ids.find((one) => new RegExp(`^${one}\\s+\\d+\\s+RUNNING`, "m").test(running));
  if (id === undefined) throw new Error(`no container ${name} runs`);
  return id;
}

/** Kills the process of a container, which the kubelet starts again. Returns the container's id. */
export function killContainer(name: string): string {
  const id = containerOf(name);
  ctr("tasks", "kill", "-s", "SIGKILL", id);
  return id;
}

/** Whether a container of this name runs, and another than `id`. */
export function runsAgain(name: string, id: string): boolean {
  try {
    return containerOf(name) !== id;
  } catch {
    return false;
  }
}
