import { setInterval } from "node:timers";
import type { Logger } from "pino";
import { IntegrityError, messageOf } from "../core/error.ts";
import { fieldsOf, numberAt, textAt } from "../core/record/fields.ts";
import type { Store } from "./store/store.ts";

/** Who signs the store's log. */
export interface Owner {
  readonly keyId: string;
  /** The collector's name. */
  readonly name: string;
}

/** Where the store says who signs its log, and when that was said. */
const place = "owner of the log";
const usualInterval = 20_000;
/** Milliseconds after which an owner that says nothing is gone. */
const gone = 60_000;

/**
 * Says that this collector signs the store's log. Agents trust one key, so collectors with several keys must not serve
 * one store at once. Throws KEY_INVALID while another one does.
 */
export async function claimLog(store: Store, owner: Owner, now: number): Promise<void> {
  const other = await store.transact(async (tx) => {
    const found = await tx.readMeta(place);
    const held = found === undefined ? undefined : heldBy(found, owner, now);
    if (held === undefined) await tx.writeMeta(place, JSON.stringify({ ...owner, at: now }));
    return held;
  });
  if (other === undefined) return;
  throw new IntegrityError(
    "KEY_INVALID",
    `store: the collector ${other.name} serves it with another key or name (${other.keyId})`,
    {
      hint: "collectors that share a store share both: copy agent.key from its --state, and use its --name; or stop it and wait a minute",
    },
  );
}

/** The other collector that said within the last minute that the log is its own. */
function heldBy(text: string, own: Owner, now: number): Owner | undefined {
  const value = fieldsOf(JSON.parse(text));
  const [keyId = "", name = ""] = [textAt(value, "keyId"), textAt(value, "name")];
  const at = numberAt(value, "at") ?? 0;
  const isOwn = keyId === own.keyId && name === own.name;
  // A time further ahead than any collector writes is of a clock that was set back since.
  return isOwn || Math.abs(now - at) > gone ? undefined : { keyId, name };
}

interface KeepOptions {
  readonly store: Store;
  readonly owner: Owner;
  readonly clock: () => number;
  readonly log: Logger;
  /** Called when another collector serves the store: this one was silent for too long, and must stop. */
  readonly onLost: (error: Error) => void;
  /** Milliseconds between two times that it is said. */
  readonly every?: number;
}

/** Says so again and again until it is disposed; then another collector may begin at once. */
export function keepLog({
  store,
  owner,
  clock,
  log,
  onLost,
  every = usualInterval,
}: KeepOptions): AsyncDisposable {
  const timer = setInterval(() => {
    claimLog(store, owner, clock()).catch((error: unknown) => {
      if (error instanceof IntegrityError && error.code === "KEY_INVALID") onLost(error);
      else log.warn({ reason: messageOf(error) }, "the log was not claimed again");
    });
  }, every);
  timer.unref();
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      await releaseLog(store, owner, clock()).catch((error: unknown) => {
        log.warn({ reason: messageOf(error) }, "the log was not released");
      });
    },
  };
}

/** Others that share the key and the name say again that it is theirs. */
export async function releaseLog(store: Store, owner: Owner, now: number): Promise<void> {
  await store.transact(async (tx) => {
    const found = await tx.readMeta(place);
    if (found === undefined || heldBy(found, owner, now)) return;
    await tx.writeMeta(place, JSON.stringify({ ...owner, at: 0 }));
  });
}
