import { openKey, openStore } from "../../collector/collector.ts";
import type { CollectorSettings } from "../../collector/settings.ts";
import { hashPassword, leastCharacters } from "../../collector/password.ts";
import { makeSecret } from "../../collector/enroll/token.ts";
import { sessionHash } from "../../collector/server/auth.ts";
import type { Store } from "../../collector/store/store.ts";
import { parseName } from "../../config/options.ts";
import { IntegrityError } from "../../core/error.ts";
import { exit } from "../fail.ts";
import type { Exit } from "../fail.ts";
import { out, say } from "../print.ts";
import { askPassword } from "./ask.ts";

/** `user add NAME [--token]` */
export async function addUser(
  settings: CollectorSettings,
  given: Readonly<Record<string, unknown>>,
): Promise<Exit> {
  const name = parseName(given["user"] as string);
  if ("problem" in name) throw wrong(`user name: ${name.problem}`);
  openKey(settings.state);
  await using store = await openStore(settings);
  return given["token"] === true
    ? await addToken(store, name.value)
    : await addPassword(store, name.value);
}

async function addToken(store: Store, user: string): Promise<Exit> {
  const now = Date.now();
  await store.users.add(user, undefined, now);
  const secret = makeSecret("fimapi");
  await store.users.addSession(sessionHash(secret), { user, kind: "token", created: now });
  out(secret);
  say(`a bearer token for ${user}; it is shown this once`);
  return exit.fine;
}

async function addPassword(store: Store, user: string): Promise<Exit> {
  const password = await askPassword(`password for ${user}: `);
  if (password.length < leastCharacters)
    throw wrong(`password: expected at least ${leastCharacters} characters`);
  if (!(await store.users.add(user, await hashPassword(password), Date.now())))
    throw wrong(`user ${user}: there is one already`);
  say(`user ${user} may log in`);
  return exit.fine;
}

function wrong(message: string): IntegrityError {
  return new IntegrityError("USAGE", message, { hint: "see fim-collector user add --help" });
}
