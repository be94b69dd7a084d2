import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";

const derive = promisify<
  string,
  Buffer,
  number,
  { N: number; r: number; p: number; maxmem: number },
  Buffer
>(scrypt);

/** OWASP Password Storage Cheat Sheet: N=2^17, r=8, p=1 takes 128 MiB. */
const cost = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 2 ** 20 };

/** NIST SP 800-63B-4 §3.1.1.2: verifiers shall require at least this many. */
export const leastCharacters = 8;
const length = 32;

/** "scrypt$SALT$HASH", both base64. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const hash = await derive(password.normalize("NFKC"), salt, length, cost);
  return `scrypt$${salt.toString("base64")}$${hash.toString("base64")}`;
}

/** Takes as long for a user who does not exist. */
export async function passwordMatches(
  password: string,
  stored: string | undefined,
): Promise<boolean> {
  const [, salt = "", hash = ""] = stored?.split("$") ?? [];
  const found = await derive(password.normalize("NFKC"), Buffer.from(salt, "base64"), length, cost);
  const expected = Buffer.from(hash, "base64");
  return expected.length === found.length && timingSafeEqual(expected, found);
}
