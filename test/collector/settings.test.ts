import test from "ava";
import { collectorSettings } from "../../src/collector/settings.ts";

test("an option that would have no effect is refused, and a file that is missing is named with its option", (t) => {
  const problemOf = (given: Readonly<Record<string, unknown>>): string | undefined =>
    t.throws(() => collectorSettings(given, {})).message;
  for (const one of [{ jwks: "keys" }, { issuer: "https://cp" }, { audience: "fim" }])
    t.is(problemOf(one), "--audience, --jwks and --issuer: expected --service-account beside them");
  t.is(
    problemOf({ tlsCert: "/nonexistent/tls.crt", tlsKey: "/nonexistent/tls.key" }),
    "--tls-cert /nonexistent/tls.crt: no such file",
  );
});
