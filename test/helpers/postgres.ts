import { execFileSync, spawnSync } from "node:child_process";
import { appendFileSync, chownSync, existsSync, globSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { freePort } from "./http.ts";

/** Directory of initdb and pg_ctl, which Debian keeps out of PATH. */
const programs = globSync("/usr/lib/postgresql/*/bin").toSorted().at(-1);

/** Why no PostgreSQL can run here. Undefined: one can. */
export const postgresMissing: string | undefined =
  programs !== undefined && existsSync(join(programs, "initdb"))
    ? undefined
    : "PostgreSQL is missing: apt-get install postgresql";

/** A PostgreSQL cluster of its own, on 127.0.0.1. */
export interface PostgresServer extends AsyncDisposable {
  readonly port: number;
  /** Makes an empty schema, quicker than a database. Returns its address. */
  createSchema(): Promise<string>;
  /** Ends all connections at once and starts again. */
  restart(): void;
  stop(): void;
  start(): void;
  /** Starts again with TLS. Returns the file of its certificate, for 127.0.0.1 and localhost. */
  secure(): string;
}

export async function startPostgres(): Promise<PostgresServer> {
  const dir = mkdtempSync(join(tmpdir(), "fim-postgres-"));
  const data = join(dir, "data");
  const owner = ownerOf(dir);
  const port = await freePort();
  const run = (program: string, ...args: readonly string[]): void => {
    const { status, stdout, stderr } = spawnSync(join(programs ?? "", program), args, {
      ...owner,
      cwd: dir,
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`${program}: ${stdout}${stderr}`);
  };
  const settings = [`-p ${port}`, `-k ${dir}`, "-h 127.0.0.1", "-c max_connections=400"].join(" ");
  const start = (): void =>
    run("pg_ctl", "-D", data, "-w", "-l", join(dir, "log"), "-o", settings, "start");
  const stop = (): void => run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop");
  run("initdb", "-D", data, "-U", "fim", "-A", "trust", "-E", "UTF8", "--locale=C", "-N");
  start();
  const address = `postgres://fim:a%20secret@127.0.0.1:${port}/postgres`;
  const sql = postgres(address, { max: 1, onnotice: () => undefined });
  let schemas = 0;
  return {
    port,
    createSchema: async () => {
      schemas += 1;
      const name = `t${schemas}`;
      await sql.unsafe(`CREATE SCHEMA ${name}`);
      return `${address}?search_path=${name}`;
    },
    start,
    stop,
    restart: () => {
      stop();
      start();
    },
    secure: () => {
      const [key, certificate] = [join(data, "server.key"), join(data, "server.crt")];
      const names = "subjectAltName=IP:127.0.0.1,DNS:localhost";
      const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
      const made = ["-x509", "-days", "2", "-subj", "/CN=localhost", "-addext", names];
      const files = ["-keyout", key, "-out", certificate];
      execFileSync("openssl", ["req", ...curve, ...made, ...files], { ...owner, stdio: "ignore" });
      appendFileSync(join(data, "postgresql.conf"), "ssl = on\n");
      stop();
      start();
      return certificate;
    },
    [Symbol.asyncDispose]: async () => {
      await sql.end();
      stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** PostgreSQL refuses to run as root. */
function ownerOf(dir: string): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const [uid, gid] = [idOf("-u"), idOf("-g")];
  chownSync(dir, uid, gid);
  return { uid, gid };
}

function idOf(flag: "-u" | "-g"): number {
  return Number(spawnSync("id", [flag, "postgres"], { encoding: "utf8" }).stdout);
}
