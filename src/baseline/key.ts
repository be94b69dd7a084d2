import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import {
  keyIdOf,
  open,
  parseEnvelope,
  publicKeyOf,
  rawPublicKey,
  seal,
} from "../core/record/dsse.ts";
import type { Envelope } from "../core/record/dsse.ts";
import { IntegrityError } from "../core/error.ts";
import { anchorFile } from "./anchor.ts";
import { createFile, readSmall, replaceFile } from "./durable.ts";

/** The agent's signing key, and its former public keys. */
export interface AgentKey {
  readonly id: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** Newest first. */
  readonly past: readonly KeyObject[];
}

const formerKeyType = "application/vnd.fim-agent.former-key.v1+json";

/** The agent's key. Undefined: none yet. Refuses a key that others can read or have placed. */
export function loadKey(stateDir: string): AgentKey | undefined {
  const text = readPrivate(keyFile(stateDir));
  return text === undefined ? undefined : agentKey(stateDir, parseKey(stateDir, text));
}

/** Makes the first key, and the state directory where needed. */
export function createKey(stateDir: string): AgentKey {
  makeDirectory(stateDir);
  const file = keyFile(stateDir);
  if (existsSync(anchorFile(stateDir)) && !existsSync(file))
    throw new IntegrityError("KEY_INVALID", `key ${file}: gone, but the agent had a baseline`, {
      hint: "find out who removed it; to start over, move the whole state directory away",
    });
  const { privateKey } = generateKeyPairSync("ed25519");
  if (!createFile(file, pemOf(privateKey)))
    throw new IntegrityError("KEY_INVALID", `key ${file}: there is one already`, {
      hint: "use: fim-agent key rotate",
    });
  return agentKey(stateDir, privateKey);
}

/** Makes parent directories one by one: where mkdir(2) always fails (/proc), Node's recursive one never ends. */
function makeDirectory(dir: string): void {
  try {
    if (!existsSync(dirname(dir))) makeDirectory(dirname(dir));
    mkdirSync(dir, { mode: 0o700 });
  } catch (cause) {
    if (cause instanceof IntegrityError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    throw unusable(dir, `cannot be made (${code})`, cause);
  }
}

export interface Rotation {
  readonly before: AgentKey;
  readonly after: AgentKey;
}

/**
 * Replaces the key. First keys.json gets the former key, signed by the new one, so that old signatures stay trusted.
 * Calls `record` last before the old key is gone.
 */
export function rotateKey(
  stateDir: string,
  at: string,
  record?: (rotation: Rotation) => void,
): Rotation {
  const before = loadKey(stateDir);
  if (!before)
    throw new IntegrityError("KEY_INVALID", `key ${keyFile(stateDir)}: there is none to rotate`, {
      hint: "capture a baseline first: fim-agent baseline",
    });
  const { privateKey } = generateKeyPairSync("ed25519");
  archiveKey(stateDir, { former: before.publicKey, by: privateKey, at });
  const rotation = { before, after: agentKey(stateDir, privateKey) };
  record?.(rotation);
  replaceFile(keyFile(stateDir), pemOf(privateKey));
  return rotation;
}

interface Archived {
  readonly former: KeyObject;
  readonly by: KeyObject;
  readonly at: string;
}

function archiveKey(stateDir: string, { former, by, at }: Archived): void {
  const payload = { v: 1, publicKey: rawPublicKey(former).toString("base64"), at };
  const envelope = seal(formerKeyType, Buffer.from(JSON.stringify(payload)), by);
  const all = [...readFormer(stateDir), envelope].map((one) => JSON.stringify(one));
  replaceFile(join(stateDir, "keys.json"), `[\n${all.join(",\n")}\n]\n`);
}

/** Walks back from the key: the next newer key vouches for each former one. */
function pastKeys(stateDir: string, key: KeyObject): KeyObject[] {
  const past: KeyObject[] = [];
  for (const envelope of readFormer(stateDir).toReversed()) {
    const payload = open(formerKeyType, envelope, past.at(-1) ?? key);
    // An interrupted rotation leaves an entry by a key that was never used.
    if (!payload) continue;
    const { publicKey } = JSON.parse(payload.toString("utf8")) as { publicKey: string };
    past.push(publicKeyOf(Buffer.from(publicKey, "base64")));
  }
  return past;
}

function readFormer(stateDir: string): Envelope[] {
  const file = join(stateDir, "keys.json");
  const text = readPrivate(file);
  if (text === undefined) return [];
  try {
    const values = JSON.parse(text) as unknown[];
    return values.map((value) => {
      const envelope = parseEnvelope(JSON.stringify(value));
      if (!envelope) throw new TypeError("not an envelope");
      return envelope;
    });
  } catch (error) {
    throw new IntegrityError("KEY_INVALID", `former keys ${file}: cannot be read`, {
      hint: "put the file back from a copy, or move it away and capture a new baseline",
      cause: error,
    });
  }
}

function agentKey(stateDir: string, privateKey: KeyObject): AgentKey {
  const publicKey = createPublicKey(privateKey);
  return { id: keyIdOf(publicKey), privateKey, publicKey, past: pastKeys(stateDir, publicKey) };
}

export function keyFile(stateDir: string): string {
  return join(stateDir, "agent.key");
}

function pemOf(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

function parseKey(stateDir: string, text: string): KeyObject {
  let key: KeyObject | undefined;
  try {
    key = createPrivateKey(text);
  } catch (error) {
    throw invalid(keyFile(stateDir), "not a private key in PEM form", error);
  }
  if (key.asymmetricKeyType !== "ed25519")
    throw invalid(keyFile(stateDir), `expected ed25519, found ${key.asymmetricKeyType}`);
  return key;
}

/** The file's text. Undefined: no file. Refuses anything but our own file that only we can read. */
function readPrivate(file: string): string | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const seen = fstatSync(fd);
    const uid = process.getuid?.() ?? seen.uid;
    if (!seen.isFile()) throw invalid(file, "not a file");
    if (seen.uid !== uid) throw othersKey(file, { expected: uid, found: seen.uid });
    if ((seen.mode & 0o077) !== 0)
      throw invalid(file, `expected mode 0600, found 0${(seen.mode & 0o777).toString(8)}`);
    return readSmall(fd);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    if (error instanceof IntegrityError) throw error;
    if (code === "ENOTDIR") throw unusable(dirname(file), "is no directory", error);
    throw invalid(file, code === "ELOOP" ? "a symbolic link" : `cannot be read (${code})`, error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function unusable(dir: string, found: string, cause: unknown): IntegrityError {
  return new IntegrityError("STATE_UNUSABLE", `state directory ${dir}: ${found}`, {
    hint: "run as root, or name one that can be written with --state DIR",
    cause,
  });
}

/** A service's own key lies in a directory of the same owner: the command runs as the wrong user. */
function othersKey(file: string, { expected, found }: Record<"expected" | "found", number>) {
  const problem = `expected owner ${expected}, found ${found}`;
  if (statSync(dirname(file)).uid !== found) return invalid(file, problem);
  return new IntegrityError("KEY_INVALID", `key ${file}: ${problem}, who owns the directory too`, {
    hint: `run it as that user: setpriv --reuid ${found} --clear-groups COMMAND, or runuser -u NAME -- COMMAND`,
  });
}

function invalid(file: string, found: string, cause?: unknown): IntegrityError {
  return new IntegrityError("KEY_INVALID", `key ${file}: ${found}`, {
    hint: "others may have had this key: put back the right file, or start over with another state directory",
    cause,
  });
}
