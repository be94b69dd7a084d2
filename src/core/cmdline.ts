import { redactText } from "./redact.ts";

const hidden = "***";

const secretWord =
  "(?:pass(?:word|wd|phrase|code)?|mysql[-_]?pwd|secret|token|(?:api|access|private|certificate|encryption)[-_]?key|credentials?|authorization|bearer)";
/** The value is where a secret is, or how long it holds: no secret, and what an investigator wants to see. */
const harmlessEnd =
  "(?:file|files|path|dir|name|names|ttl|url|type|id|mode|method|count|hash|expiry|duration)";

/** Of an Authorization header (RFC 9110). */
const scheme = "(?:bearer|basic|token|digest|negotiate|apikey)";

const nameEnd = `(?![\\w-]*[-_]${harmlessEnd}\\b)[\\w-]*`;
/** "--db-password", "PGPASSWORD" as a whole argument: the next one is the value. */
const secretFlag = new RegExp(`^--?(?:[\\w-]*[-_])?${secretWord}${nameEnd}$`, "i");
/** The same with its value, anywhere in an argument: "sh -c" carries whole command lines. In quotes it can hold spaces. */
const secretPair = new RegExp(
  `((?:^|[\\s"'?&;,{(.=-])[\\w-]*${secretWord}${nameEnd}["']?\\s*[=:]\\s*)(?:"[^"]+(?="|$)|'[^']+(?='|$)|["']?(?:${scheme}\\s+)?[^\\s"'&;,]+)`,
  "gi",
);
const secretFlagInText = new RegExp(
  `((?:^|\\s)--(?:[\\w-]*-)?${secretWord}${nameEnd}\\s+)(?!-)[^\\s"';]+`,
  "gi",
);
/** A JSON Web Token (RFC 7519), whatever it follows. */
const webToken = /\beyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*/g;
/** What is a secret by its form: a bootstrap token of Kubernetes, a token of k3s, those of well-known services. */
const knownTokens =
  /\b(?:[a-z0-9]{6}\.[a-z0-9]{16}|K10[0-9a-f]{64}::\S+|gh[opsur]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|hvs\.[\w-]{16,})(?![\w.])/g;
const userFlag = /^(?:-u|--user|--proxy-user)$/;
const userPair = /^(?<name>(?:-u|--(?:proxy-)?user=)(?!\d+:\d+$)[^\s:]+):.+$/;

/** A command line as alerts may show it: what looks like a password, a token or a key is replaced by "***". */
export function redactArguments(args: readonly string[]): readonly string[] {
  return args.map((arg, index) => {
    const before = args[index - 1] ?? "";
    if (secretFlag.test(before) && !arg.startsWith("-")) return hidden;
    if (userFlag.test(before) && arg.includes(":"))
      return `${arg.slice(0, arg.indexOf(":"))}:${hidden}`;
    return redactArgument(arg);
  });
}

function redactArgument(arg: string): string {
  const plain = arg
    .replace(webToken, hidden)
    .replace(knownTokens, hidden)
    .replace(userPair, `$<name>:${hidden}`)
    .replace(secretPair, `$1${hidden}`);
  return redactText(plain.replace(secretFlagInText, `$1${hidden}`));
}
