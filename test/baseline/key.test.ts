import test from "ava";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { generateKeyPairSync } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createKey, loadKey, rotateKey } from "../../src/baseline/key.ts";
import { keyIdOf } from "../../src/core/record/dsse.ts";
import { IntegrityError } from "../../src/core/error.ts";
import { State, at } from "../helpers/state.ts";
import { rootMissing } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";

function place(): { dir: string; file: string; [Symbol.dispose](): void } {
  const parent = mkdtempSync(join(tmpdir(), "fim-key-"));
  const dir = join(parent, "state");
  return {
    dir,
    file: join(dir, "agent.key"),
    [Symbol.dispose]: () => rmSync(parent, { recursive: true, force: true }),
  };
}

function refusal(dir: string): string {
  try {
    loadKey(dir);
    return "accepted";
  } catch (error) {
    return error instanceof IntegrityError && error.code === "KEY_INVALID" ? error.message : "?";
  }
}

test("a key is made once, for its owner alone, and read back", (t) => {
  using state = place();
  t.is(loadKey(state.dir), undefined);
  const made = createKey(state.dir);
  t.is(statSync(state.dir).mode & 0o777, 0o700);
  t.is(statSync(state.file).mode & 0o777, 0o600);
  t.is(loadKey(state.dir)?.id, made.id);
  t.regex(made.id, /^ed25519:[0-9a-f]{16}$/);
  t.throws(() => createKey(state.dir), { instanceOf: IntegrityError, message: /one already/ });
  t.deepEqual(readdirSync(state.dir), ["agent.key"]);
});

test("a key that others may have read is refused", (t) => {
  using state = place();
  createKey(state.dir);
  for (const mode of [0o640, 0o604, 0o660, 0o601]) {
    chmodSync(state.file, mode);
    t.regex(refusal(state.dir), /expected mode 0600, found 06/);
  }
  chmodSync(state.file, 0o400);
  t.is(refusal(state.dir), "accepted");
});

needing(rootMissing)("a key of another owner is refused", (t) => {
  using state = place();
  createKey(state.dir);
  chownSync(state.file, 65_534, 0);
  t.regex(refusal(state.dir), /expected owner 0, found 65534/);
  const hint = (): string => t.throws<IntegrityError>(() => loadKey(state.dir))?.hint ?? "";
  t.regex(hint(), /others may have had this key/);
  chownSync(state.dir, 65_534, 0);
  t.regex(hint(), /run it as that user: setpriv --reuid 65534/);
});

test("a symbolic link, a directory and another sort of key are refused", (t) => {
  using state = place();
  createKey(state.dir);
  const aside = `${state.file}.aside`;
  renameSync(state.file, aside);
  symlinkSync(aside, state.file);
  t.regex(refusal(state.dir), /symbolic link/);
  rmSync(state.file);
  writeFileSync(state.file, "no key", { mode: 0o600 });
  t.regex(refusal(state.dir), /not a private key/);
  const { privateKey } = generateKeyPairSync("x25519");
  writeFileSync(state.file, privateKey.export({ type: "pkcs8", format: "pem" }));
  t.regex(refusal(state.dir), /expected ed25519, found x25519/);
});

test("a key or a list of former keys that was made huge is refused unread", (t) => {
  using state = place();
  createKey(state.dir);
  rotateKey(state.dir, at);
  for (const name of ["keys.json", "agent.key"]) {
    truncateSync(join(state.dir, name), 2 ** 33);
    t.is(refusal(state.dir), `key ${join(state.dir, name)}: cannot be read (E2BIG)`);
  }
});

test("a state directory that cannot be made is reported as that", (t) => {
  for (const [parent, found] of [
    ["/proc", "ENOENT"],
    ["/dev/null", "ENOTDIR"],
  ])
    t.throws(() => createKey(`${parent}/fim-state`), {
      instanceOf: IntegrityError,
      code: "STATE_UNUSABLE",
      message: `state directory ${parent}/fim-state: cannot be made (${found})`,
    });
});

test("a file in the place of a state directory is reported as that", (t) => {
  t.throws(() => loadKey("/etc/hostname"), {
    instanceOf: IntegrityError,
    code: "STATE_UNUSABLE",
    message: "state directory /etc/hostname: is no directory",
  });
});

test("a key that is gone is not made again where there was a baseline", (t) => {
  using state = new State();
  state.captured();
  rmSync(join(state.dir, "agent.key"));
  t.throws(() => createKey(state.dir), { instanceOf: IntegrityError, message: /gone, but/ });
});

test("former keys are remembered through every rotation", (t) => {
  using state = place();
  const ids: string[] = [createKey(state.dir).id];
  for (let n = 0; n < 3; n += 1) {
    const { before, after } = rotateKey(state.dir, at);
    t.deepEqual([before.id], ids.slice(0, 1));
    ids.unshift(after.id);
  }
  t.is(new Set(ids).size, 4);
  const loaded = loadKey(state.dir);
  t.deepEqual([loaded?.id, ...(loaded?.past ?? []).map(keyIdOf)], ids);
  t.is(statSync(join(state.dir, "keys.json")).mode & 0o777, 0o600);
});

test("a former key that the present key did not sign is not believed", (t) => {
  using state = place();
  using foreign = place();
  createKey(state.dir);
  createKey(foreign.dir);
  rotateKey(foreign.dir, at);
  writeFileSync(join(state.dir, "keys.json"), readFileSync(join(foreign.dir, "keys.json")), {
    mode: 0o600,
  });
  t.deepEqual(loadKey(state.dir)?.past, []);
});

test("a rotation that stopped half-way leaves the old key in force", (t) => {
  using state = place();
  const first = createKey(state.dir);
  const old = readFileSync(state.file);
  rotateKey(state.dir, at);
  writeFileSync(state.file, old);
  t.is(loadKey(state.dir)?.id, first.id);
  const { after } = rotateKey(state.dir, at);
  t.deepEqual(after.past.map(keyIdOf), [first.id]);
  t.false(existsSync(`${state.file}.${process.pid}.tmp`));
});
