/** A URL for logs: scheme and host, because for many receivers the path is the secret. */
export function redactUrl(url: string): string {
  const { protocol, host, pathname, search } = parseUrl(url) ?? {};
  if (protocol === undefined || host === undefined) return "(not a URL)";
  return `${protocol}//${host}${(pathname === "/" || pathname === "") && search === "" ? "/" : "/…"}`;
}

/** External text without what looks like a key: webhook secrets, bearer tokens, passwords in URLs. */
export function redactText(text: string): string {
  return text
    .replace(/\b(whsec_|whsk_)[A-Za-z0-9+/=_-]+/g, "$1…")
    .replace(/\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi, "$1 …")
    .replace(/:\/\/[^\s/@]+@/g, "://…@");
}

function parseUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}
