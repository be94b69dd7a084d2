import { redactText } from "./redact.ts";

const hidden = "***";

const secretWord =
  "(?:pass(?:word|wd|phrase|code)?|mysql[-_]?pwd|secret|token|(?:api|access|private|certificate|encryption)[-_]?key|credentials?|authorization|bearer)";
/** The value is a path or a duration: no secret, and an investigator needs it. */
const harmlessEnd =
  "(?:file|files|path|dir|name|names|ttl|url|type|id|mode|method|count|hash|expiry|duration)";

/** Searches hostile text: each pattern visits a name once. */
const anyWord = new RegExp(secretWord, "gi");
const wordOfItsOwn = new RegExp(`(?<=[-_])${secretWord}`, "gi");
const harmless = new RegExp(`[-_]${harmlessEnd}\\b`, "i");

/** "--db-password", "PGPASSWORD" as a whole argument: the next one is the value. */
const flag = /^--?[\w-]+$/;
/** A name and what stands between it and its value, anywhere in an argument: "sh -c" carries whole command lines. */
const named = /(?<![\w-])(?<name>[\w-]+)(?:["']?\s*[=:]\s*|(?<space>\s+)(?!-))/g;
const beforeName = /[\s"'?&;,{(.=]/;
/** In quotes it can hold spaces. The scheme is an Authorization header's (RFC 9110). */
const value =
  /"[^"]+|'[^']+|["']?(?:(?:bearer|basic|token|digest|negotiate|apikey)\s+)?[^\s"'&;,]+/iy;
const valueOfFlag = /[^\s"';]+/y;
/** A JSON Web Token (RFC 7519). */
const webToken = /\beyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*/g;
/** Secrets by their form: bootstrap tokens of Kubernetes, tokens of k3s and of well-known services. */
const knownTokens =
  /\b(?:[a-z0-9]{6}\.[a-z0-9]{16}|K10[0-9a-f]{64}::\S+|gh[opsur]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|hvs\.[\w-]{16,})(?![\w.])/g;
const userFlag = /^(?:-u|--user|--proxy-user)$/;
const userPair = /^(?<name>(?:-u|--(?:proxy-)?user=)(?!\d+:\d+$)[^\s:]+):.+$/;

/** A command line for alerts: "***" replaces what looks like a password, a token or a key. */
export function redactArguments(args: readonly string[]): readonly string[] {
  return args.map((arg, index) => {
    const before = args[index - 1] ?? "";
    if (flag.test(before) && isSecret(before, wordOfItsOwn) && !arg.startsWith("-")) return hidden;
    if (userFlag.test(before) && arg.includes(":"))
      return `${arg.slice(0, arg.indexOf(":"))}:${hidden}`;
    return redactArgument(arg);
  });
}

function redactArgument(arg: string): string {
  const plain = arg
    .replace(webToken, hidden)
    .replace(knownTokens, hidden)
    .replace(userPair, `$<name>:${hidden}`);
  return redactText(hideValues(plain));
}

function hideValues(text: string): string {
  let shown = "";
  let from = 0;
  for (const match of text.matchAll(named)) {
    const { name = "", space } = match.groups ?? {};
    const at = match.index + match[0].length;
    if (match.index < from || !isSecretAt(text, match.index, { name, isFlag: space !== undefined }))
      continue;
    const pattern = space === undefined ? value : valueOfFlag;
    pattern.lastIndex = at;
    if (!pattern.test(text)) continue;
    shown += text.slice(from, at) + hidden;
    from = pattern.lastIndex;
  }
  return shown + text.slice(from);
}

function isSecretAt(
  text: string,
  at: number,
  { name, isFlag }: { readonly name: string; readonly isFlag: boolean },
): boolean {
  const before = text[at - 1];
  if (isFlag)
    return /^\s?$/.test(before ?? "") && name.startsWith("--") && isSecret(name, wordOfItsOwn);
  if (before === undefined || beforeName.test(before)) return isSecret(name, anyWord);
  // "/run/token:/x" is a path.
  const dash = name.indexOf("-");
  return dash >= 0 && isSecret(name.slice(dash), anyWord);
}

/** The word after the last such word decides what the value is. */
function isSecret(name: string, word: RegExp): boolean {
  const last = [...name.matchAll(word)].at(-1);
  return last !== undefined && !harmless.test(name.slice(last.index + last[0].length));
}
