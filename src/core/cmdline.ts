import { redactText } from "./redact.ts";

const hidden = "***";

const secretWord =
  "(?:pass(?:word|wd|phrase|code)?|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credentials?|authorization|bearer)";
/** The value is where a secret is, or how long it holds: no secret, and what an investigator wants to see. */
const harmlessEnd =
  "(?:file|files|path|dir|name|names|ttl|url|type|id|mode|method|count|hash|expiry|duration)";

const nameEnd = `(?![\\w-]*[-_]${harmlessEnd}\\b)[\\w-]*`;
/** "--db-password", "PGPASSWORD" as a whole argument: the next one is the value. */
const secretFlag = new RegExp(`^--?(?:[\\w-]*[-_])?${secretWord}${nameEnd}$`, "i");
/** The same with its value, anywhere in an argument: "sh -c" carries whole command lines. */
const secretPair = new RegExp(
  `((?:^|[\\s"'?&;,{(-])[\\w-]*${secretWord}${nameEnd}["']?\\s*[=:]\\s*["']?)(?:(?:bearer|basic)\\s+)?[^\\s"'&;,]+`,
  "gi",
);
const secretFlagInText = new RegExp(
  `((?:^|\\s)--(?:[\\w-]*-)?${secretWord}${nameEnd}\\s+)(?!-)[^\\s"';]+`,
  "gi",
);
/** A JSON Web Token (RFC 7519), whatever it follows. */
const webToken = /\beyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*/g;
const userFlag = /^(?:-u|--user|--proxy-user)$/;

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
  const plain = arg.replace(webToken, hidden).replace(secretPair, `$1${hidden}`);
  return redactText(plain.replace(secretFlagInText, `$1${hidden}`));
}
